//go:build cgo && !purego

// The lookups and additions of lockstep.go, the latter on the field arithmetic of blst: a call from Go costs as much as two multiplications in the field, so
// that one makes all additions of a digit. blst itself is compiled into the program by its Go binding; the declarations are those of its header blst.h.

#include <stddef.h>
#include <stdint.h>

typedef struct { uint64_t l[6]; } fp;
typedef struct { fp c[2]; } fp2;

void blst_fp_sub(fp *out, const fp *a, const fp *b);
void blst_fp_mul(fp *out, const fp *a, const fp *b);
void blst_fp_sqr(fp *out, const fp *a);
void blst_fp_cneg(fp *out, const fp *a, int flag);
void blst_fp_inverse(fp *out, const fp *a);
void blst_fp2_sub(fp2 *out, const fp2 *a, const fp2 *b);
void blst_fp2_mul(fp2 *out, const fp2 *a, const fp2 *b);
void blst_fp2_sqr(fp2 *out, const fp2 *a);
void blst_fp2_cneg(fp2 *out, const fp2 *a, int flag);
void blst_fp2_inverse(fp2 *out, const fp2 *a);

// Two words in one vector register, as GCC and Clang write it. A comparison of vectors has all ones for true.
typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));

enum { MULTIPLES = 16, PAIRS = 6 };

// Copies twelve words of the entry at index: all entries are read, and all but one masked away. row points to the first one's.
static inline void pick(uint64_t *out, const uint64_t *row, size_t words, uint32_t index)
{
    typedef uint32_t four __attribute__((vector_size(16)));
    four wanted = {index, index, index, index}, at = {0, 0, 0, 0};
    pair a = {0, 0}, b = a, c = a, d = a, e = a, f = a;
    for (int j = 0; j < MULTIPLES; j++, at += 1, row += words) {
        const pair *x = (const pair *)row;
        pair mask = (pair)(wanted == at);
        a |= x[0] & mask;
        b |= x[1] & mask;
        c |= x[2] & mask;
        d |= x[3] & mask;
        e |= x[4] & mask;
        f |= x[5] & mask;
    }
    pair *x = (pair *)out;
    x[0] = a, x[1] = b, x[2] = c, x[3] = d, x[4] = e, x[5] = f;
}

static int is_zero(const uint64_t *w, size_t n)
{
    uint64_t any = 0;
    while (n-- > 0)
        any |= w[n];
    return any == 0;
}

// The functions for points over one field:
//
// pick_each copies to out the entries of row for n digits, which are stride bytes apart: struct digit of table.go, a mask for
// the sign, then the index. Constant-time in the digits.
//
// add_each adds entries[i] to sums[i], n of them and at least one, or returns 0 and leaves sums as they are where two have the same x. scratch has room for
// 2n elements of the field. Constant-time in the coordinates but for that.
#define LOCKSTEP(group, fp)                                                                       \
typedef struct { fp x, y; } affine_##fp;                                                          \
                                                                                                  \
void veilchart_pick_each_##group(affine_##fp *out, const affine_##fp *row,                        \
                                 const uint8_t *digits, size_t stride, size_t n)                  \
{                                                                                                 \
    const size_t words = sizeof(*out) / 8;                                                        \
    for (size_t i = 0; i < n; i++, digits += stride) {                                            \
        for (size_t at = 0; at < words; at += 2 * PAIRS)                                          \
            pick((uint64_t *)&out[i] + at, (const uint64_t *)row + at, words, digits[1]);         \
        blst_##fp##_cneg(&out[i].y, &out[i].y, digits[0] & 1);                                    \
    }                                                                                             \
}                                                                                                 \
                                                                                                  \
int veilchart_add_each_##group(affine_##fp *sums, const affine_##fp *entries,                    \
                               fp *scratch, size_t n)                                             \
{                                                                                                 \
    fp *differences = scratch, *products = scratch + n; /* products[i]: differences[0] to [i] */  \
    for (size_t i = 0; i < n; i++) {                                                              \
        blst_##fp##_sub(&differences[i], &entries[i].x, &sums[i].x);                              \
        if (i == 0)                                                                               \
            products[i] = differences[i];                                                         \
        else                                                                                      \
            blst_##fp##_mul(&products[i], &products[i - 1], &differences[i]);                     \
    }                                                                                             \
    if (is_zero((const uint64_t *)&products[n - 1], sizeof(fp) / 8))                              \
        return 0;                                                                                 \
    fp inverse, slope, x, y; /* inverse of products[i] */                                         \
    blst_##fp##_inverse(&inverse, &products[n - 1]);                                              \
    for (size_t i = n; i-- > 0;) {                                                                \
        blst_##fp##_sub(&slope, &entries[i].y, &sums[i].y);                                       \
        blst_##fp##_mul(&slope, &slope, &inverse);                                                \
        if (i > 0) {                                                                              \
            blst_##fp##_mul(&slope, &slope, &products[i - 1]); /* (y2 - y1)/(x2 - x1) */          \
            blst_##fp##_mul(&inverse, &inverse, &differences[i]);                                 \
        }                                                                                         \
        blst_##fp##_sqr(&x, &slope);                                                              \
        blst_##fp##_sub(&x, &x, &sums[i].x);                                                      \
        blst_##fp##_sub(&x, &x, &entries[i].x); /* x3 = slope^2 - x1 - x2 */                      \
        blst_##fp##_sub(&y, &sums[i].x, &x);                                                      \
        blst_##fp##_mul(&y, &y, &slope);                                                          \
        blst_##fp##_sub(&y, &y, &sums[i].y); /* y3 = slope (x1 - x3) - y1 */                      \
        sums[i].x = x;                                                                            \
        sums[i].y = y;                                                                            \
    }                                                                                             \
    return 1;                                                                                     \
}

LOCKSTEP(g1, fp)
LOCKSTEP(g2, fp2)
