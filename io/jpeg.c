/* SPDX-License-Identifier: MIT
 *
 * libjpeg reports through longjmp: everything between setjmp and the end works on state behind a
 * pointer, so that no local variable is left undefined by the jump. */
#include "io/jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "base/error.h"

/* A progressive file may ask for any number of passes over the whole picture. */
#define MAX_SCANS 100

struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    struct phi_image image;
    enum ph_status status;
    int cut_short;
    char text[JMSG_LENGTH_MAX];
};

int phi_jpeg_recognise(const void *bytes, size_t n_bytes)
{
    return n_bytes >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

static void on_error(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;

    jpeg->err->format_message(jpeg, reader->text);
    longjmp(reader->failed, 1);
}

/* libjpeg fills what is missing with grey and warns; for a stimulus that is a failure. */
static void on_message(j_common_ptr jpeg, int level)
{
    struct reader *reader = jpeg->client_data;

    if (level < 0 &&
        (jpeg->err->msg_code == JWRN_JPEG_EOF || jpeg->err->msg_code == JWRN_HIT_MARKER))
        reader->cut_short = 1;
}

static void on_progress(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;

    if (reader->jpeg.input_scan_number > MAX_SCANS) {
        (void)snprintf(reader->text, sizeof reader->text, "more than %d scans", MAX_SCANS);
        longjmp(reader->failed, 1);
    }
}

static void decode(struct reader *reader, const void *bytes, size_t n_bytes,
                   struct ph_error *reterr)
{
    jpeg_create_decompress(&reader->jpeg);
    reader->jpeg.client_data = reader;
    reader->jpeg.progress = &reader->progress;
    jpeg_mem_src(&reader->jpeg, bytes, n_bytes);
    (void)jpeg_read_header(&reader->jpeg, TRUE);
    reader->jpeg.out_color_space = JCS_RGB;
    reader->status =
        phi_image_init(reader->jpeg.image_width, reader->jpeg.image_height, &reader->image, reterr);
    if (reader->status < 0)
        return;
    (void)jpeg_start_decompress(&reader->jpeg);
    while (reader->jpeg.output_scanline < reader->jpeg.output_height) {
        JSAMPROW row =
            reader->image.pixels + (size_t)reader->jpeg.output_scanline * reader->image.width * 3;

        (void)jpeg_read_scanlines(&reader->jpeg, &row, 1);
    }
    (void)jpeg_finish_decompress(&reader->jpeg);
}

enum ph_status phi_jpeg_parse(const void *bytes, size_t n_bytes, struct phi_image *ret_image,
                              struct ph_error *reterr)
{
    struct reader reader;

    memset(&reader, 0, sizeof reader);
    reader.jpeg.err = jpeg_std_error(&reader.errors);
    reader.errors.error_exit = on_error;
    reader.errors.emit_message = on_message;
    reader.progress.progress_monitor = on_progress;
    reader.jpeg.client_data = &reader;
    if (setjmp(reader.failed))
        reader.status = phi_error(reterr, PH_E_FORMAT, "damaged JPEG: %.200s", reader.text);
    else
        decode(&reader, bytes, n_bytes, reterr);
    jpeg_destroy_decompress(&reader.jpeg);
    if (reader.status >= 0 && reader.cut_short)
        reader.status = phi_error(reterr, PH_E_FORMAT, "damaged JPEG: it is cut short");
    if (reader.status < 0)
        phi_image_fini(&reader.image);
    else
        *ret_image = reader.image;
    return reader.status;
}
