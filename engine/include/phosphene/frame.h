/* SPDX-License-Identifier: MIT
 *
 * What travels between the stages of a run: a frame is a header and a payload. One stage writes it,
 * then it is read-only for all others; a filter that declares PH_CAP_IN_PLACE may change the frame
 * it is given. The engine owns every frame: a pointer is valid during the call it was passed to.
 */
#ifndef PHOSPHENE_FRAME_H
#define PHOSPHENE_FRAME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ph_frame_kind {
    PH_FRAME_NONE = 0,
    PH_FRAME_VOLUME = 1, /* one volume, float32 [z][y][x] */
    PH_FRAME_VECTOR = 2, /* the voxels inside the mask, float32 [n], in ascending voxel order */
    PH_FRAME_LATENT = 3, /* float32 [2 + k][n]: posterior mean, posterior sd, then k samples of the
                            posterior where the decoder draws them (at most PH_MAX_SAMPLES) */
    PH_FRAME_IMAGE = 4,  /* uint8 [height][width][3], RGB, sRGB values */
    PH_FRAME_EVENT = 5   /* a stimulus event; no payload */
};

#define PH_MAX_SAMPLES 16

enum ph_dtype { PH_DTYPE_NONE = 0, PH_DTYPE_F32 = 1, PH_DTYPE_U8 = 2 };

/* Marks on a frame; they are kept by every stage that derives a frame from it. */
enum ph_frame_flag {
    PH_FLAG_GAP = 1u << 0,      /* the volume is missing: its payload is zero and means nothing */
    PH_FLAG_LATE = 1u << 1,     /* came after its place in the order had been marked missing */
    PH_FLAG_CENSORED = 1u << 2, /* judged unusable (motion, spike): estimators skip it */
    PH_FLAG_REVISED = 1u << 3,  /* replaces an earlier statement about the same moment */
    PH_FLAG_INVALID = 1u << 4,  /* a stage failed on it, or its values are not finite */
    PH_FLAG_FINAL = 1u << 5,    /* no later volume will change this statement */
    PH_FLAG_GATED = 1u << 6,    /* not enough evidence yet to show it as a finding */
    PH_FLAG_DUMMY = 1u << 7     /* before the signal had settled; not part of the analysis */
};

/* True if estimators may learn from the frame. */
#define PH_FLAGS_UNUSABLE                                                                          \
    ((uint32_t)PH_FLAG_GAP | (uint32_t)PH_FLAG_CENSORED | (uint32_t)PH_FLAG_INVALID |              \
     (uint32_t)PH_FLAG_DUMMY)

/* Where voxels are. World coordinates are RAS+ millimetres, voxel indices count from 0. */
struct ph_geometry {
    uint32_t dims[3];    /* nx, ny, nz; x is the fastest in memory */
    uint32_t reserved;   /* 0 */
    double affine[3][4]; /* world = affine * (i, j, k, 1) */
    double tr_s;         /* repetition time; 0 if unknown */
};

/* Edge length of a voxel along axis 0, 1 or 2, in mm. */
static inline double ph_geometry_voxel_mm(const struct ph_geometry *geometry, int axis)
{
    double x = geometry->affine[0][axis];
    double y = geometry->affine[1][axis];
    double z = geometry->affine[2][axis];

    return sqrt(x * x + y * y + z * z);
}

/* Quality of one volume. A figure that no stage has measured is NaN. Each stage fills its own. */
struct ph_quality {
    float motion[6];        /* x, y, z in mm; pitch, roll, yaw in rad; SPM's convention */
    float fd_mm;            /* framewise displacement, Power 2012, 50 mm sphere */
    float fd_jenkinson_mm;  /* rms displacement, Jenkinson 2002, 80 mm sphere */
    float dvars;            /* data scaled to median 1000 */
    float std_dvars;        /* DVARS over its expectation; about 1 when clean */
    float tsnr;             /* median over the mask, so far */
    float global_signal;    /* mean over the mask */
    float outlier_fraction; /* share of voxels that are outliers in time */
    float gcor;             /* global correlation so far */
    float drift_percent;    /* slow change of the global signal since the start */
    float csf;              /* mean signal of tissue masks, where given */
    float white_matter;
    float n_spikes; /* spikes counted up to and with this volume */
};

/* A stimulus event: a row of a BIDS events table. */
struct ph_event {
    double onset_s;      /* on the run's clock: 0 is the start of volume 0 */
    double duration_s;   /* 0 is an impulse */
    double amplitude;    /* modulation, 1 where not given */
    uint32_t number;     /* counts the events of a run from 0, in the order they became known */
    int32_t stim_index;  /* index into the run's stimulus set, -1 if unknown */
    char trial_type[64]; /* zero-terminated UTF-8 */
    char stim_file[128]; /* zero-terminated UTF-8, empty if unknown */
};

#define PH_NO_TRIAL UINT32_MAX

/* What a latent frame speaks of. */
struct ph_latent {
    double stimulus_s;  /* the moment on the run's clock that is described */
    double lag_s;       /* time from that moment to the end of the newest volume used */
    uint32_t trial;     /* ph_event.number, or PH_NO_TRIAL in continuous decoding */
    uint32_t revision;  /* counts the statements about this moment from 0 */
    int32_t stim_index; /* as in ph_event */
    float share;        /* of the information that will ever be had about it, 0..1 */
    float evidence;     /* log Bayes factor against the prior, nats; NaN if not computed */
    float nis;          /* normalised innovation squared over its degrees of freedom; NaN if none */
    char decoder[32];   /* the stage's name in the run file */
};

/* What an image frame shows; the moment and its certainty are those of the latent behind it. */
struct ph_image {
    struct ph_latent latent;
    char generator[32]; /* the stage's name in the run file */
};

#define PH_MAX_SIGNALS 8

/* The signal of a region, measured on one volume by a filter such as filter/regions. */
struct ph_signal {
    char name[24]; /* zero-terminated; letters, digits, '_' */
    float mean;    /* over the region's voxels, as the frame held them */
    float value;   /* after the region's own filters: what feedback is given on */
};

struct ph_frame {
    uint32_t struct_size;  /* of the header as the writer knew it */
    uint32_t kind;         /* enum ph_frame_kind */
    uint32_t flags;        /* enum ph_frame_flag, or-ed */
    uint32_t dtype;        /* enum ph_dtype */
    uint32_t rank;         /* how many of dims are used */
    uint32_t generation;   /* of the parameters the writing stage used */
    uint32_t dims[4];      /* slowest first: volume {nz, ny, nx}, vector {n}, image {h, w, 3} */
    uint64_t index;        /* the volume this frame belongs to; for events, the next volume */
    uint64_t layout;       /* vectors: identifies the voxel list (ph_layout_hash); else 0 */
    double acquired_s;     /* start of the acquisition on the run's clock; volume index * TR if the
                              scanner does not tell */
    int64_t sent_ns;       /* when the scanner side sent it, on the engine's clock; 0 if unknown */
    int64_t received_ns;   /* when it had arrived whole, on the engine's monotonic clock */
    size_t capacity_bytes; /* of the payload's memory */
    void *data;            /* 64-byte aligned payload */
    struct ph_quality quality;
    union {
        struct ph_event event;
        struct ph_latent latent;
        struct ph_image image;
    } u;
    /* Since interface 1.1. */
    uint32_t n_signals; /* how many of signals are filled */
    uint32_t reserved;  /* 0 */
    struct ph_signal signals[PH_MAX_SIGNALS];
};

/* Number of elements in the payload, product of the used dims. */
static inline size_t ph_frame_count(const struct ph_frame *frame)
{
    size_t n = frame->rank ? 1 : 0;

    for (uint32_t i = 0; i < frame->rank; i++)
        n *= frame->dims[i];
    return n;
}

/* Identifies a list of voxels in a grid: FNV-1a over dims and the ascending indices. Never 0. */
static inline uint64_t ph_layout_hash(const uint32_t dims[3], const uint32_t *voxels, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325ULL;

    for (int i = 0; i < 3; i++)
        hash = (hash ^ dims[i]) * 0x100000001b3ULL;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ voxels[i]) * 0x100000001b3ULL;
    return hash ? hash : 1;
}

/* Identifies a latent space by its name: FNV-1a. 0 for the empty name, else never 0. Latents of two
 * spaces mean different things even where they are equally many. */
static inline uint64_t ph_space_hash(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325ULL;

    if (!*name)
        return 0;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3ULL;
    return hash ? hash : 1;
}

#ifdef __cplusplus
}
#endif

#endif
