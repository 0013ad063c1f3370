/* reference.h - f and f' of every elementwise function, once more: textbook forms over the C
 * library, independent of the kernels.  Included three times by sweep.c, with R a real type.
 *
 * With each value comes its scale: the sum of the magnitudes of what was added or amplified, so
 * that |error| <= a few units of rounding times the scale. */

#define S(v) FABS(v)
#define RETURN(f_, fs_, d_, ds_) return (REF_TYPE){(f_), (fs_), (d_), (ds_)}

/* x (a s(u) + b s(-u)), u = t (a - b) x, and its derivative: silu and its kin. */
static REF_TYPE REF(gate)(R x, R a, R b, R t)
{
    const R D = a - b, u = t * D * x, e = EXP(-FABS(u)), s = (u < 0 ? e : 1) / (1 + e), c = (u < 0 ? 1 : e) / (1 + e);
    const R g = a * s + b * c, w = D * s * c * u, slip = S(D) * s * c * S(u); /* what u's rounding makes of s */
    RETURN(x * g, S(x) * (S(a) * s + S(b) * c + slip), g + w, S(a) * s + S(b) * c + slip * (2 + S(u)));
}

static REF_TYPE REF(value)(int which, R x, const R *p)
{
    const R ax = FABS(x);
    switch (which) {
    case F_identity: RETURN(x, 0, 1, 0);
    case F_sigmoid: {
        const R e = EXP(-ax), f = (x < 0 ? e : 1) / (1 + e), d = e / ((1 + e) * (1 + e));
        RETURN(f, f, d, d);
    }
    case F_tanh: {
        const R e = EXP(-2 * ax), d = 4 * e / ((1 + e) * (1 + e)), f = TANH(x);
        RETURN(f, S(f), d, d);
    }
    case F_relu: RETURN(x > 0 ? x : 0, 0, x > 0, 0);
    case F_relu6: RETURN(x > 0 ? x < 6 ? x : 6 : 0, 0, x > 0 && x < 6, 0);
    case F_leaky_relu:
    case F_prelu: RETURN(x > 0 ? x : p[0] * x, x > 0 ? 0 : S(p[0] * x), x > 0 ? 1 : p[0], 0);
    case F_rrelu: {
        const R a = (p[0] + p[1]) / 2;
        RETURN(x > 0 ? x : a * x, x > 0 ? 0 : ax * (S(p[0]) + S(p[1])), x > 0 ? 1 : a, S(p[0]) + S(p[1]));
    }
    case F_thresholded_relu: RETURN(x > p[0] ? x : p[1], 0, x > p[0], 0);
    case F_elu: {
        const R f = x > 0 ? x : p[0] * EXPM1(x), d = x > 0 ? 1 : p[0] * EXP(x);
        RETURN(f, x > 0 ? 0 : S(f), d, x > 0 ? 0 : S(d));
    }
    case F_celu: {
        const R z = x / p[0], e = EXP(x > 0 ? 0 : z), f = x > 0 ? x : p[0] * EXPM1(z);
        RETURN(f, S(f) + (x > 0 ? 0 : ax * e), e, e * (1 + (x > 0 ? 0 : S(z))));
    }
    case F_selu: {
        const R l = C(1.0507009873554804934193349852946), a = C(1.6732632423543772848170429916717);
        const R f = x > 0 ? l * x : l * a * EXPM1(x), d = x > 0 ? l : l * a * EXP(x);
        RETURN(f, 2 * S(f), d, 2 * d);
    }
    case F_softplus: {
        const R z = p[0] * x, e = EXP(-FABS(z)), d = (z < 0 ? e : 1) / (1 + e);
        const R f = (z > 0 ? z : 0) / p[0] + LOG1P(e) / p[0];
        RETURN(f, S(f) + (S(z) < 1e4 ? S(z) * e / S(p[0]) : 0), d, d * (1 + S(z) * (z < 0 ? 1 : e)));
    }
    case F_log_sigmoid: {
        const R e = EXP(-ax), f = (x < 0 ? x : 0) - LOG1P(e), d = (x < 0 ? 1 : e) / (1 + e);
        RETURN(f, S(f), d, d);
    }
    case F_softsign: RETURN(x / (1 + ax), ax / (1 + ax), 1 / (1 + ax) / (1 + ax), 1 / (1 + ax) / (1 + ax));
    case F_hardtanh: RETURN(x < p[0] ? p[0] : x > p[1] ? p[1] : x, 0, x > p[0] && x < p[1], 0);
    case F_hardsigmoid: { /* the double nearest to 1/6 stands for 1/6; kinks are rounded to double */
        const R slope = (double)p[0] == 1.0 / 6 ? 1 / C(6.0) : p[0], v = slope * x + p[1];
        const double low = (double)(-(LONG)p[1] / (LONG)slope), high = (double)((1 - (LONG)p[1]) / (LONG)slope);
        const int inside = x > low && x < high;
        RETURN(v < 0 || x < low ? 0 : v > 1 || x > high ? 1 : v, x < low || x > high ? 0 : S(slope * x) + S(p[1]),
               inside ? slope : 0, inside ? S(p[0]) : 0);
    }
    case F_hardswish: {
        const R f = x * (x + 3) / 6;
        RETURN(x <= -3 ? 0 : x >= 3 ? x : f, x <= -3 || x >= 3 ? 0 : ax * (ax + 3),
               x <= -3 ? 0 : x >= 3 ? 1 : (2 * x + 3) / 6, x <= -3 || x >= 3 ? 0 : 1 + ax);
    }
    case F_hardshrink: RETURN(ax > p[0] ? x : 0, 0, ax > p[0], 0);
    case F_softshrink: {
        const R f = ax > p[0] ? ax - p[0] : 0;
        RETURN(x < 0 ? -f : f, f == 0 ? 0 : ax + p[0], ax > p[0], 0);
    }
    case F_tanhshrink: {
        const R t = TANH(x), q = x * x;
        if (ax < C(0.00390625)) { /* the Taylor series: 2^-112 */
            const R f = x * (q * (1 / C(3.0) + q * (-2 / C(15.0) + q * (17 / C(315.0) + q * (-62 / C(2835.0)
                        + q * (1382 / C(155925.0) + q * (-21844 / C(6081075.0) + q * (929569 / C(638512875.0)))))))));
            RETURN(f, 4 * S(f), t * t, t * t);
        }
        RETURN(x - t, 2 * ax, t * t, t * t);
    }
    case F_silu: return REF(gate)(x, 1, 0, 1);
    case F_swish: return REF(gate)(x, 1, 0, p[0]);
    case F_quick_gelu: return REF(gate)(x, 1, 0, C(1.702));
    case F_acon_c: return REF(gate)(x, p[0], p[1], p[2]);
    case F_gelu: {
        if (x > 200 || x < -200)
            RETURN(x > 0 ? x : 0, 0, x > 0, 0);
        const R c = ERFC(-x / SQRT(C(2.0))) / 2, g = x * EXP(-x * x / 2) / SQRT(2 * PI), a = 1 + x * x;
        RETURN(x * c, S(x * c) * a, c + g, (c + S(g)) * a);
    }
    case F_gelu_tanh: {
        if (x > 60 || x < -60)
            RETURN(x > 0 ? x : 0, 0, x > 0, 0);
        const R k = 2 * SQRT(2 / PI), b = C(0.044715), v = k * (x + b * x * x * x), w = k * x * (1 + 3 * b * x * x);
        const R e = EXP(-FABS(v)), s = (v < 0 ? e : 1) / (1 + e), c = (v < 0 ? 1 : e) / (1 + e), a = 1 + FABS(v);
        RETURN(x * s, S(x * s) * a, s + w * s * c, (s + S(w * s * c)) * a);
    }
    case F_mish: {
        if (x > 100 || x < -11000)
            RETURN(x > 0 ? x : 0, 0, x > 0, 0);
        const R u = EXP(x), w = u * (u + 2), t = w / (w + 2), g = 4 * x * u * (1 + u) / ((w + 2) * (w + 2));
        RETURN(x * t, S(x * t), t + g, t + S(g));
    }
    case F_exponential: RETURN(EXP(x), EXP(x), EXP(x), EXP(x));
    case F_squareplus: {
        if (ax > 1e300) {
            RETURN(x > 0 ? x : p[0] / (4 * ax), 0, x > 0 ? 1 : p[0] / ax / ax / 4, 0);
        }
        const R s = SQRT(x * x + p[0]), l = p[0] / (2 * (s + ax));
        RETURN(x < 0 ? l : (x + s) / 2, x < 0 ? l : s, x < 0 ? l / s : (1 + x / s) / 2, x < 0 ? l / s : 1);
    }
    case F_sparse_plus: {
        const R f = (x + 1) * (x + 1) / 4;
        RETURN(x <= -1 ? 0 : x >= 1 ? x : f, ax >= 1 ? 0 : S(x + 1) * (ax + 1),
               x <= -1 ? 0 : x >= 1 ? 1 : (x + 1) / 2, ax < 1 ? 1 + ax : 0);
    }
    case F_sparse_sigmoid: {
        const R f = (x + 1) / 2;
        RETURN(x <= -1 ? 0 : x >= 1 ? 1 : f, ax < 1 ? 1 + ax : 0, ax < 1 ? C(0.5) : 0, 0);
    }
    case F_relu2: RETURN(x > 0 ? x * x : 0, x > 0 ? x * x : 0, x > 0 ? 2 * x : 0, 0);
    case F_star_relu:
        RETURN(x > 0 ? p[0] * x * x + p[1] : p[1], x > 0 ? S(p[0] * x * x) + S(p[1]) : 0, x > 0 ? 2 * p[0] * x : 0,
               x > 0 ? S(p[0] * x) : 0);
    case F_telu: {
        if (x > 30 || x < -11000)
            RETURN(x > 0 ? x : 0, 0, x > 0, 0);
        const R u = EXP(x), t = TANH(u), e = EXP(-2 * u), g = x * u * 4 * e / ((1 + e) * (1 + e));
        RETURN(x * t, S(x * t), t + g, t + S(g) * (1 + u));
    }
    case F_golu: {
        if (x < -9)
            RETURN(0, 0, 0, 0);
        const R v = EXP(-x), e = EXP(-v);
        RETURN(x * e, S(x * e) * (1 + v), e + x * v * e, e * (1 + S(x) * v) * (1 + v));
    }
    case F_serf: {
        if (x > 60 || x < -11000)
            RETURN(x > 0 ? x : 0, 0, x > 0, 0);
        const R e = EXP(-ax), l = (x > 0 ? x : 0) + LOG1P(e), s = (x < 0 ? e : 1) / (1 + e), r = ERF(l);
        const R g = x * s * 2 / SQRT(PI) * EXP(-l * l);
        RETURN(x * r, S(x * r), r + g, r + S(g) * (1 + l * l));
    }
    case F_snake: {
        const R z = p[0] * x, s = SIN(z);
        const R slip = p[0] == 1 ? 0 : S(z); /* of the rounded product */
        if (slip == 0 && S(x) < 1e6) { /* 1 + sin 2z = 2 sin^2(z + pi/4), z + pi/4 off its nearest root */
            const R k = RINT((z + PI / 4) / PI), t = ((z - k * PI_1) - k * PI_2) - k * PI_3;
            const R r = t + PI / 4, u = SIN(r);
            if (S(r) > 1e-3)
                RETURN(x + s * s / p[0], ax + s * s / S(p[0]), 2 * u * u, 4);
            const R off = ((z + (PI_1 / 4 - k * PI_1)) + (PI_2 / 4 - k * PI_2)) + (PI_3 / 4 - k * PI_3), v = SIN(off);
            RETURN(x + s * s / p[0], ax + s * s / S(p[0]), 2 * v * v, IS_QUAD ? v * v : 1);
        }
        RETURN(x + s * s / p[0], ax + (s * s + slip) / S(p[0]), 1 + SIN(2 * z), 2 + slip);
    }
    case F_xielu: {
        const R least = -1 / C(1000000.0), m = EXPM1(x < least ? x : least), q = x * x;
        if (x > 0)
            RETURN(p[0] * q + p[2] * x, S(p[0] * q) + S(p[2] * x), 2 * p[0] * x + p[2], S(2 * p[0] * x) + S(p[2]));
        RETURN((m - x) * p[1] + p[2] * x, (S(m) + ax) * S(p[1]) + S(p[2] * x), (x < least ? m : -1) * p[1] + p[2],
               S(p[1]) + S(p[2]));
    }
    }
    RETURN(0, 0, 0, 0);
}
