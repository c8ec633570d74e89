/* SPDX-License-Identifier: MIT
 *
 * One loop a type and byte order, so that each vectorises: a volume of 96 x 96 x 60 int16 is
 * converted in well under a millisecond.
 */
#include "io/nifti_values.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static uint8_t keep8(uint8_t x)
{
    return x;
}

static uint16_t keep16(uint16_t x)
{
    return x;
}

static uint32_t keep32(uint32_t x)
{
    return x;
}

static uint64_t keep64(uint64_t x)
{
    return x;
}

/* `bits` is the unsigned type as wide as `type`; `order` puts its bytes right. */
#define DEFINE_READ(name, type, bits, order)                                                       \
    static void name(const unsigned char *data, size_t n, double slope, double inter, float *out)  \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            bits raw;                                                                              \
            type value;                                                                            \
                                                                                                   \
            memcpy(&raw, data + i * sizeof raw, sizeof raw);                                       \
            raw = order(raw);                                                                      \
            memcpy(&value, &raw, sizeof value);                                                    \
            out[i] = (float)(slope * (double)value + inter);                                       \
        }                                                                                          \
    }

DEFINE_READ(read_u8, uint8_t, uint8_t, keep8)
DEFINE_READ(read_i8, int8_t, uint8_t, keep8)
DEFINE_READ(read_u16, uint16_t, uint16_t, keep16)
DEFINE_READ(read_i16, int16_t, uint16_t, keep16)
DEFINE_READ(read_u32, uint32_t, uint32_t, keep32)
DEFINE_READ(read_i32, int32_t, uint32_t, keep32)
DEFINE_READ(read_u64, uint64_t, uint64_t, keep64)
DEFINE_READ(read_i64, int64_t, uint64_t, keep64)
DEFINE_READ(read_f32, float, uint32_t, keep32)
DEFINE_READ(read_f64, double, uint64_t, keep64)
DEFINE_READ(read_u16_swapped, uint16_t, uint16_t, __builtin_bswap16)
DEFINE_READ(read_i16_swapped, int16_t, uint16_t, __builtin_bswap16)
DEFINE_READ(read_u32_swapped, uint32_t, uint32_t, __builtin_bswap32)
DEFINE_READ(read_i32_swapped, int32_t, uint32_t, __builtin_bswap32)
DEFINE_READ(read_u64_swapped, uint64_t, uint64_t, __builtin_bswap64)
DEFINE_READ(read_i64_swapped, int64_t, uint64_t, __builtin_bswap64)
DEFINE_READ(read_f32_swapped, float, uint32_t, __builtin_bswap32)
DEFINE_READ(read_f64_swapped, double, uint64_t, __builtin_bswap64)

/* IEEE binary128, which the processor does not have: sign, 15 bits exponent, 112 bits fraction, of
 * which a double keeps 52. */
static double binary128(const unsigned char *p, int big_endian)
{
    uint64_t high = 0;
    uint64_t low = 0;
    double value;

    for (int i = 7; i >= 0; i--) {
        low = low << 8 | p[big_endian ? 15 - i : i];
        high = high << 8 | p[big_endian ? 7 - i : 8 + i];
    }
    int exponent = (int)(high >> 48 & 0x7fff);
    double fraction = ldexp((double)(high & 0xffffffffffffULL), -48) + ldexp((double)low, -112);

    if (exponent == 0x7fff)
        value = fraction > 0 ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        value = 0; /* below 1e-4931: nothing float32 can tell from zero */
    else
        value = ldexp(1 + fraction, exponent - 16383);
    return high >> 63 ? -value : value;
}

static void read_f128(const unsigned char *data, size_t n, const struct phi_nifti_info *info,
                      float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(info->slope * binary128(data + 16 * i, info->big_endian) + info->inter);
}

typedef void read_loop(const unsigned char *data, size_t n, double slope, double inter, float *out);

static read_loop *loop_for(enum phi_nifti_type type, bool swapped)
{
    switch (type) {
    case PHI_NIFTI_UINT8:
        return read_u8;
    case PHI_NIFTI_INT8:
        return read_i8;
    case PHI_NIFTI_UINT16:
        return swapped ? read_u16_swapped : read_u16;
    case PHI_NIFTI_INT16:
        return swapped ? read_i16_swapped : read_i16;
    case PHI_NIFTI_UINT32:
        return swapped ? read_u32_swapped : read_u32;
    case PHI_NIFTI_INT32:
        return swapped ? read_i32_swapped : read_i32;
    case PHI_NIFTI_UINT64:
        return swapped ? read_u64_swapped : read_u64;
    case PHI_NIFTI_INT64:
        return swapped ? read_i64_swapped : read_i64;
    case PHI_NIFTI_FLOAT32:
        return swapped ? read_f32_swapped : read_f32;
    case PHI_NIFTI_FLOAT64:
        return swapped ? read_f64_swapped : read_f64;
    case PHI_NIFTI_FLOAT128:
        break;
    }
    return NULL;
}

void phi_nifti_to_float32(const struct phi_nifti_info *info, const unsigned char *data, size_t n,
                          float *out)
{
    read_loop *loop = loop_for(info->type, info->big_endian);

    if (loop)
        loop(data, n, info->slope, info->inter, out);
    else
        read_f128(data, n, info, out);
}

/* Least and greatest double that the integer type can take: 2^63 and 2^64 themselves do not fit. */
static void range_of(enum phi_nifti_type type, double *ret_least, double *ret_greatest)
{
    double bits = 8.0 * (double)phi_nifti_type_bytes((int)type);
    bool is_signed = type == PHI_NIFTI_INT8 || type == PHI_NIFTI_INT16 || type == PHI_NIFTI_INT32 ||
                     type == PHI_NIFTI_INT64;
    double top = is_signed ? exp2(bits - 1) : exp2(bits);

    *ret_least = is_signed ? -top : 0;
    *ret_greatest = bits < 64 ? top - 1 : nextafter(top, 0);
}

static uint64_t integer_bits(double value, double least, double greatest)
{
    if (isnan(value))
        return 0;
    value = rint(value);
    value = value < least ? least : value > greatest ? greatest : value;
    return least < 0 ? (uint64_t)(int64_t)value : (uint64_t)value;
}

static void binary128_of(double value, unsigned char out[16])
{
    int exponent = 0;
    double fraction = frexp(fabs(value), &exponent);
    uint64_t high = 0;
    uint64_t low = 0;

    if (isnan(value) || isinf(value)) {
        high = (uint64_t)0x7fff << 48 | (isnan(value) ? (uint64_t)1 << 47 : 0);
    } else if (value != 0) {
        uint64_t mantissa = (uint64_t)ldexp(fraction, 53) & 0xfffffffffffffULL; /* 52 bits */

        high = (uint64_t)(exponent - 1 + 16383) << 48 | mantissa >> 4;
        low = mantissa << 60;
    }
    if (signbit(value))
        high |= (uint64_t)1 << 63;
    memcpy(out, &low, sizeof low);
    memcpy(out + 8, &high, sizeof high);
}

static void reverse(unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        unsigned char swap = p[i];

        p[i] = p[n - 1 - i];
        p[n - 1 - i] = swap;
    }
}

void phi_nifti_from_float32(const struct phi_nifti_info *info, const float *values, size_t n,
                            unsigned char *out)
{
    size_t size = phi_nifti_type_bytes((int)info->type);
    double least;
    double greatest;

    range_of(info->type, &least, &greatest);
    for (size_t i = 0; i < n; i++) {
        double value = ((double)values[i] - info->inter) / info->slope;
        float single = (float)value;
        unsigned char *p = out + i * size;
        uint64_t bits;

        if (info->type == PHI_NIFTI_FLOAT32) {
            memcpy(p, &single, sizeof single);
        } else if (info->type == PHI_NIFTI_FLOAT64) {
            memcpy(p, &value, sizeof value);
        } else if (info->type == PHI_NIFTI_FLOAT128) {
            binary128_of(value, p);
        } else {
            bits = integer_bits(value, least, greatest);
            memcpy(p, &bits, size);
        }
        if (info->big_endian)
            reverse(p, size);
    }
}
