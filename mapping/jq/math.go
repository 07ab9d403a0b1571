package jq

import "math"

// numberTest makes a test of numbers; nothing else passes it.
func numberTest(test func(float64) bool) func(*run, any, []any) (any, error) {
	return func(_ *run, in any, _ []any) (any, error) {
		return isNumber(in) && test(toFloat(in)), nil
	}
}

func isNormal(f float64) bool {
	return f == f && !math.IsInf(f, 0) && math.Abs(f) >= 0x1p-1022
}

// unaryMath and binaryMath are C's functions under their names.
var unaryMath = map[string]func(float64) float64{
	"acos": math.Acos, "acosh": math.Acosh, "asin": math.Asin, "asinh": math.Asinh,
	"atan": math.Atan, "atanh": math.Atanh, "cbrt": math.Cbrt, "ceil": math.Ceil,
	"cos": math.Cos, "cosh": math.Cosh, "erf": math.Erf, "erfc": math.Erfc,
	"exp": math.Exp, "exp2": math.Exp2, "expm1": math.Expm1, "fabs": math.Abs,
	"exp10": func(x float64) float64 { return math.Pow(10, x) },
	"floor": math.Floor, "j0": math.J0, "j1": math.J1, "y0": math.Y0, "y1": math.Y1,
	"log": math.Log, "log10": math.Log10, "log1p": math.Log1p, "log2": math.Log2, "logb": math.Logb,
	"nearbyint": math.RoundToEven, "rint": math.RoundToEven, "round": math.Round,
	"sin": math.Sin, "sinh": math.Sinh, "sqrt": math.Sqrt, "tan": math.Tan, "tanh": math.Tanh,
	"tgamma": math.Gamma, "trunc": math.Trunc, "significand": significand,
	"gamma": logGamma, "lgamma": logGamma,
}

var binaryMath = map[string]func(x, y float64) float64{
	"atan2": math.Atan2, "copysign": math.Copysign, "drem": math.Remainder, "remainder": math.Remainder,
	"fdim": math.Dim, "fmax": withoutNaN(math.Max), "fmin": withoutNaN(math.Min), "fmod": math.Mod, "hypot": math.Hypot,
	"nextafter": math.Nextafter, "nexttoward": math.Nextafter, "pow": math.Pow,
	"ldexp":   scale,
	"scalb":   scale,
	"scalbln": scale,
	"jn":      func(n, x float64) float64 { return math.Jn(order(n), x) },
	"yn":      func(n, x float64) float64 { return math.Yn(order(n), x) },
}

// order bounds the order of a Bessel function, which takes as many steps.
func order(n float64) int { return int(toInt64(max(min(n, 1e6), -1e6))) }

// withoutNaN is the other number where one is nan, as in C.
func withoutNaN(f func(x, y float64) float64) func(x, y float64) float64 {
	return func(x, y float64) float64 {
		switch {
		case x != x:
			return y
		case y != y:
			return x
		}
		return f(x, y)
	}
}

func scale(x, n float64) float64 { return math.Ldexp(x, int(max(min(n, 1<<16), -1<<16))) }

func logGamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}

// significand is x scaled into [1, 2).
func significand(x float64) float64 {
	if x == 0 || math.IsInf(x, 0) || x != x {
		return x
	}
	f, _ := math.Frexp(x)
	return 2 * f
}

// mathFunc finds a function of numbers by name and number of arguments.
func mathFunc(name string, arity int) func(*run, any, []any) (any, error) {
	if f, ok := unaryMath[name]; ok && arity == 0 {
		return func(_ *run, in any, _ []any) (any, error) {
			if !isNumber(in) {
				return nil, errorf("%s number required", describe(in))
			}
			return f(toFloat(in)), nil
		}
	}
	if f, ok := binaryMath[name]; ok && arity == 2 {
		return overNumbers(func(a []any) any { return f(toFloat(a[0]), toFloat(a[1])) })
	}
	switch {
	case name == "fma" && arity == 3:
		return overNumbers(func(a []any) any { return toFloat(a[0])*toFloat(a[1]) + toFloat(a[2]) })
	case arity != 0:
		return nil
	case name == "frexp":
		return split2(func(x float64) (any, any) { f, e := math.Frexp(x); return f, float64(e) })
	case name == "modf":
		return split2(func(x float64) (any, any) { i, f := math.Modf(x); return f, i })
	case name == "lgamma_r":
		return split2(func(x float64) (any, any) { v, sign := math.Lgamma(x); return v, float64(sign) })
	}
	return nil
}

func overNumbers(f func([]any) any) func(*run, any, []any) (any, error) {
	return func(_ *run, _ any, args []any) (any, error) {
		for _, a := range args {
			if !isNumber(a) {
				return nil, errorf("%s number required", describe(a))
			}
		}
		return f(args), nil
	}
}

func split2(f func(float64) (any, any)) func(*run, any, []any) (any, error) {
	return func(_ *run, in any, _ []any) (any, error) {
		if !isNumber(in) {
			return nil, errorf("%s number required", describe(in))
		}
		a, b := f(toFloat(in))
		return []any{a, b}, nil
	}
}
