/* Does something for each item of a list of macro arguments, up to 40 of them. */
#ifndef WASMILL_EACH_H
#define WASMILL_EACH_H

#define WM_CAT(a, b) WM_CAT_(a, b)
#define WM_CAT_(a, b) a##b

/* How many arguments there are. */
#define WM_COUNT(...) WM_COUNT_(__VA_ARGS__, 40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
#define WM_COUNT_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, a33, a34, a35, a36, a37, a38, a39, a40, n, ...) n

/* `WM_EACH(P_, a(x), b(y))` is `P_a(x) P_b(y)`: the items are calls of macros, and the prefix says of which. */
#define WM_EACH(prefix, ...) WM_CAT(WM_EACH_, WM_COUNT(__VA_ARGS__))(prefix, __VA_ARGS__)
#define WM_EACH_1(p, a) p##a
#define WM_EACH_2(p, a, ...) p##a WM_EACH_1(p, __VA_ARGS__)
#define WM_EACH_3(p, a, ...) p##a WM_EACH_2(p, __VA_ARGS__)
#define WM_EACH_4(p, a, ...) p##a WM_EACH_3(p, __VA_ARGS__)
#define WM_EACH_5(p, a, ...) p##a WM_EACH_4(p, __VA_ARGS__)
#define WM_EACH_6(p, a, ...) p##a WM_EACH_5(p, __VA_ARGS__)
#define WM_EACH_7(p, a, ...) p##a WM_EACH_6(p, __VA_ARGS__)
#define WM_EACH_8(p, a, ...) p##a WM_EACH_7(p, __VA_ARGS__)
#define WM_EACH_9(p, a, ...) p##a WM_EACH_8(p, __VA_ARGS__)
#define WM_EACH_10(p, a, ...) p##a WM_EACH_9(p, __VA_ARGS__)
#define WM_EACH_11(p, a, ...) p##a WM_EACH_10(p, __VA_ARGS__)
#define WM_EACH_12(p, a, ...) p##a WM_EACH_11(p, __VA_ARGS__)
#define WM_EACH_13(p, a, ...) p##a WM_EACH_12(p, __VA_ARGS__)
#define WM_EACH_14(p, a, ...) p##a WM_EACH_13(p, __VA_ARGS__)
#define WM_EACH_15(p, a, ...) p##a WM_EACH_14(p, __VA_ARGS__)
#define WM_EACH_16(p, a, ...) p##a WM_EACH_15(p, __VA_ARGS__)
#define WM_EACH_17(p, a, ...) p##a WM_EACH_16(p, __VA_ARGS__)
#define WM_EACH_18(p, a, ...) p##a WM_EACH_17(p, __VA_ARGS__)
#define WM_EACH_19(p, a, ...) p##a WM_EACH_18(p, __VA_ARGS__)
#define WM_EACH_20(p, a, ...) p##a WM_EACH_19(p, __VA_ARGS__)
#define WM_EACH_21(p, a, ...) p##a WM_EACH_20(p, __VA_ARGS__)
#define WM_EACH_22(p, a, ...) p##a WM_EACH_21(p, __VA_ARGS__)
#define WM_EACH_23(p, a, ...) p##a WM_EACH_22(p, __VA_ARGS__)
#define WM_EACH_24(p, a, ...) p##a WM_EACH_23(p, __VA_ARGS__)
#define WM_EACH_25(p, a, ...) p##a WM_EACH_24(p, __VA_ARGS__)
#define WM_EACH_26(p, a, ...) p##a WM_EACH_25(p, __VA_ARGS__)
#define WM_EACH_27(p, a, ...) p##a WM_EACH_26(p, __VA_ARGS__)
#define WM_EACH_28(p, a, ...) p##a WM_EACH_27(p, __VA_ARGS__)
#define WM_EACH_29(p, a, ...) p##a WM_EACH_28(p, __VA_ARGS__)
#define WM_EACH_30(p, a, ...) p##a WM_EACH_29(p, __VA_ARGS__)
#define WM_EACH_31(p, a, ...) p##a WM_EACH_30(p, __VA_ARGS__)
#define WM_EACH_32(p, a, ...) p##a WM_EACH_31(p, __VA_ARGS__)
#define WM_EACH_33(p, a, ...) p##a WM_EACH_32(p, __VA_ARGS__)
#define WM_EACH_34(p, a, ...) p##a WM_EACH_33(p, __VA_ARGS__)
#define WM_EACH_35(p, a, ...) p##a WM_EACH_34(p, __VA_ARGS__)
#define WM_EACH_36(p, a, ...) p##a WM_EACH_35(p, __VA_ARGS__)
#define WM_EACH_37(p, a, ...) p##a WM_EACH_36(p, __VA_ARGS__)
#define WM_EACH_38(p, a, ...) p##a WM_EACH_37(p, __VA_ARGS__)
#define WM_EACH_39(p, a, ...) p##a WM_EACH_38(p, __VA_ARGS__)
#define WM_EACH_40(p, a, ...) p##a WM_EACH_39(p, __VA_ARGS__)

/* `WM_MAP(F, a, b)` is `F(a) F(b)`. */
#define WM_MAP(f, ...) WM_CAT(WM_MAP_, WM_COUNT(__VA_ARGS__))(f, __VA_ARGS__)
#define WM_MAP_1(f, a) f(a)
#define WM_MAP_2(f, a, ...) f(a) WM_MAP_1(f, __VA_ARGS__)
#define WM_MAP_3(f, a, ...) f(a) WM_MAP_2(f, __VA_ARGS__)
#define WM_MAP_4(f, a, ...) f(a) WM_MAP_3(f, __VA_ARGS__)
#define WM_MAP_5(f, a, ...) f(a) WM_MAP_4(f, __VA_ARGS__)
#define WM_MAP_6(f, a, ...) f(a) WM_MAP_5(f, __VA_ARGS__)
#define WM_MAP_7(f, a, ...) f(a) WM_MAP_6(f, __VA_ARGS__)
#define WM_MAP_8(f, a, ...) f(a) WM_MAP_7(f, __VA_ARGS__)
#define WM_MAP_9(f, a, ...) f(a) WM_MAP_8(f, __VA_ARGS__)
#define WM_MAP_10(f, a, ...) f(a) WM_MAP_9(f, __VA_ARGS__)
#define WM_MAP_11(f, a, ...) f(a) WM_MAP_10(f, __VA_ARGS__)
#define WM_MAP_12(f, a, ...) f(a) WM_MAP_11(f, __VA_ARGS__)
#define WM_MAP_13(f, a, ...) f(a) WM_MAP_12(f, __VA_ARGS__)
#define WM_MAP_14(f, a, ...) f(a) WM_MAP_13(f, __VA_ARGS__)
#define WM_MAP_15(f, a, ...) f(a) WM_MAP_14(f, __VA_ARGS__)
#define WM_MAP_16(f, a, ...) f(a) WM_MAP_15(f, __VA_ARGS__)

#endif
