package jq

// builtinDefs are the built-ins that are written in jq, after jq's own
// definitions. They see only built-ins.
var builtinDefs = map[string]string{
	"add/1":             `def add(f): reduce f as $x (null; . + $x);`,
	"in/1":              `def in(xs): . as $x | xs | has($x);`,
	"inside/1":          `def inside(xs): . as $x | xs | contains($x);`,
	"recurse/2":         `def recurse(f; cond): recurse(f | select(cond));`,
	"with_entries/1":    `def with_entries(f): to_entries | map(f) | from_entries;`,
	"map_values/1":      `def map_values(f): .[] |= f;`,
	"while/2":           `def while(cond; update): def _while: if cond then ., (update | _while) else empty end; _while;`,
	"until/2":           `def until(cond; update): def _until: if cond then . else (update | _until) end; _until;`,
	"combinations/0":    `def combinations: if length == 0 then [] else .[0][] as $x | (.[1:] | combinations) as $w | [$x] + $w end;`,
	"combinations/1":    `def combinations(n): . as $dot | [range(n)] | map($dot) | combinations;`,
	"walk/1":            `def walk(f): def w: if type == "object" then map_values(w) elif type == "array" then map(w) else . end | f; w;`,
	"env/0":             `def env: $ENV;`,
	"nth/1":             `def nth($n): .[$n];`,
	"nth/2":             `def nth($n; f): if $n < 0 then error("nth doesn't support negative indices") else first(skip($n; f)) end;`,
	"limit/2":           `def limit($n; f): if $n > 0 then label $out | foreach f as $item ($n; . - 1; $item, if . <= 0 then break $out else empty end) elif $n == 0 then empty else error("limit doesn't support negative count") end;`,
	"skip/2":            `def skip($n; f): if $n > 0 then foreach f as $item ($n; . - 1; if . < 0 then $item else empty end) elif $n == 0 then f else error("skip doesn't support negative count") end;`,
	"any/0":             `def any: any(.[]; .);`,
	"all/0":             `def all: all(.[]; .);`,
	"isempty/1":         `def isempty(g): label $out | (g | false, break $out), true;`,
	"first/0":           `def first: .[0];`,
	"last/0":            `def last: .[-1];`,
	"flatten/0":         `def flatten: flatten(1e9);`,
	"paths/0":           `def paths: path(..) | select(. != []);`,
	"paths/1":           `def paths(node_filter): . as $dot | paths | select(. as $p | $dot | getpath($p) | node_filter);`,
	"del/1":             `def del(f): delpaths([path(f)]);`,
	"pick/1":            `def pick(pathexps): . as $top | reduce path(pathexps) as $p (null; setpath($p; $top | getpath($p)));`,
	"to_entries/0":      `def to_entries: [keys_unsorted[] as $k | {key: $k, value: .[$k]}];`,
	"sort_by/1":         `def sort_by(f): _sort_by(map([f]));`,
	"group_by/1":        `def group_by(f): _group_by(map([f]));`,
	"unique_by/1":       `def unique_by(f): [_group_by(map([f]))[] | .[0]];`,
	"unique/0":          `def unique: unique_by(.);`,
	"min_by/1":          `def min_by(f): _min_by(map([f]));`,
	"max_by/1":          `def max_by(f): _max_by(map([f]));`,
	"tostream/0":        `def tostream: path(def r: (.[]?|r), .; r) as $p | getpath($p) | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);`,
	"fromstream/1":      `def fromstream(f): {x: null, e: false} as $init | foreach f as $i ($init; if .e then $init else . end | if $i | length == 2 then setpath(["e"]; $i[0] | length == 0) | setpath(["x"] + $i[0]; $i[1]) else setpath(["e"]; $i[0] | length == 1) end; if .e then .x else empty end);`,
	"truncate_stream/1": `def truncate_stream(stream): . as $n | null | stream | . as $input | if (.[0] | length) > $n then setpath([0]; .[0][$n:]) else empty end;`,
	"arrays/0":          `def arrays: select(type == "array");`,
	"objects/0":         `def objects: select(type == "object");`,
	"iterables/0":       `def iterables: select(type | . == "array" or . == "object");`,
	"booleans/0":        `def booleans: select(type == "boolean");`,
	"numbers/0":         `def numbers: select(type == "number");`,
	"finites/0":         `def finites: select(isinfinite | not);`,
	"normals/0":         `def normals: select(isnormal);`,
	"strings/0":         `def strings: select(type == "string");`,
	"nulls/0":           `def nulls: select(. == null);`,
	"values/0":          `def values: select(. != null);`,
	"scalars/0":         `def scalars: select(type | . != "array" and . != "object");`,
	"abs/0":             `def abs: if . < 0 then -. else . end;`,
	"todate/0":          `def todate: strftime("%Y-%m-%dT%H:%M:%SZ");`,
	"todateiso8601/0":   `def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");`,
	"fromdate/0":        `def fromdate: strptime("%Y-%m-%dT%H:%M:%SZ") | mktime;`,
	"fromdateiso8601/0": `def fromdateiso8601: strptime("%Y-%m-%dT%H:%M:%SZ") | mktime;`,
	"match/1":           `def match($val): ($val | type) as $vt | if $vt == "string" then _match($val; null) elif $vt == "array" and ($val | length) > 1 then _match($val[0]; $val[1]) elif $vt == "array" and ($val | length) > 0 then _match($val[0]; null) else error($vt + " not a string or array") end | .[];`,
	"match/2":           `def match(re; flags): _match(re; flags) | .[];`,
	"test/1":            `def test($val): ($val | type) as $vt | if $vt == "string" then _test($val; null) elif $vt == "array" and ($val | length) > 1 then _test($val[0]; $val[1]) elif $vt == "array" and ($val | length) > 0 then _test($val[0]; null) else error($vt + " not a string or array") end;`,
	"test/2":            `def test(re; flags): _test(re; flags);`,
	"capture/1":         `def capture(val): match(val) | _captured;`,
	"capture/2":         `def capture(re; flags): match(re; flags) | _captured;`,
	"scan/1":            `def scan($re): scan($re; null);`,
	"scan/2":            `def scan($re; $flags): match($re; "g" + $flags) | if (.captures | length) > 0 then [.captures | .[] | .string] else .string end;`,
	"split/2":           `def split($re; flags): _split($re; flags + "g");`,
	"splits/1":          `def splits($re): split($re; null) | .[];`,
	"splits/2":          `def splits($re; flags): split($re; flags) | .[];`,
	"inputs/0":          `def inputs: empty;`,
	"debug/1":           `def debug(msg): .;`,
	"INDEX/1":           `def INDEX(idx_expr): INDEX(.[]; idx_expr);`,
	"INDEX/2":           `def INDEX(stream; idx_expr): reduce stream as $row ({}; .[$row | idx_expr | tostring] |= $row);`,
	"IN/1":              `def IN(s): any(s == .; .);`,
	"IN/2":              `def IN(src; s): any(src == s; .);`,
	"JOIN/2":            `def JOIN($idx; idx_expr): [.[] | [., $idx[idx_expr]]];`,
	"JOIN/3":            `def JOIN($idx; stream; idx_expr): stream | [., $idx[idx_expr]];`,
	"JOIN/4":            `def JOIN($idx; stream; idx_expr; join_expr): stream | [., $idx[idx_expr]] | join_expr;`,
}

// nodeFunctions build the built-ins that take expressions; nil means: not in
// this case, use the definition in jq.
func nodeFunctions() map[string]func(*compiler, []node) node {
	return map[string]func(*compiler, []node) node{
		"empty/0":   func(*compiler, []node) node { return empty{} },
		"error/0":   func(*compiler, []node) node { return raise{identity{}} },
		"error/1":   func(_ *compiler, a []node) node { return raise{a[0]} },
		"path/1":    func(_ *compiler, a []node) node { return pathNode{a[0]} },
		"getpath/1": func(_ *compiler, a []node) node { return getpathNode{a[0]} },
		"select/1":  func(_ *compiler, a []node) node { return selectNode{a[0]} },
		"map/1":     func(_ *compiler, a []node) node { return mapNode(a[0]) },
		"recurse/0": func(*compiler, []node) node { return recurse{} },
		"recurse/1": func(_ *compiler, a []node) node { return recurseNode{a[0]} },
		"first/1":   func(_ *compiler, a []node) node { return firstNode{a[0]} },
		"last/1":    func(_ *compiler, a []node) node { return lastNode{a[0]} },
		"range/1":   func(_ *compiler, a []node) node { return rangeNode{constant{0.0}, a[0], constant{1.0}} },
		"range/2":   func(_ *compiler, a []node) node { return rangeNode{a[0], a[1], constant{1.0}} },
		"range/3":   func(_ *compiler, a []node) node { return rangeNode{a[0], a[1], a[2]} },
		"any/2":     func(_ *compiler, a []node) node { return quantifier{a[0], a[1], false} },
		"all/2":     func(_ *compiler, a []node) node { return quantifier{a[0], a[1], true} },
		"any/1":     func(_ *compiler, a []node) node { return quantifier{iterate{identity{}}, a[0], false} },
		"all/1":     func(_ *compiler, a []node) node { return quantifier{iterate{identity{}}, a[0], true} },
		"until/2":   loopFunc(func(cond, next single) node { return untilNode{cond, next} }),
		"while/2":   loopFunc(func(cond, next single) node { return whileNode{cond, next} }),
		"repeat/1":  func(_ *compiler, a []node) node { return repeatNode{a[0]} },
		"sub/2":     replaceFunc(""),
		"gsub/2":    replaceFunc("g"),
		"sub/3":     replaceFunc(""),
		"gsub/3":    replaceFunc("g"),
	}
}

func loopFunc(build func(cond, next single) node) func(*compiler, []node) node {
	return func(_ *compiler, a []node) node {
		if !singles(a...) {
			return nil
		}
		return build(a[0].(single), a[1].(single))
	}
}

func replaceFunc(extra string) func(*compiler, []node) node {
	return func(c *compiler, a []node) node {
		flags := node(constant{""})
		if len(a) == 3 {
			flags = a[2]
		}
		return newReplace(c, a[0], a[1], flags, extra)
	}
}
