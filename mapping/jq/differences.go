package jq

// Differences lists what programs do differently here than in jq 1.8.2 as the
// Python integration runs it. Program.Notes names those that a program meets.
func Differences() []string {
	return []string{
		"Integers beyond 2^53 that are passed on stay exact; the Python integration rounds them to doubles. Arithmetic is that of doubles in both.",
		"Single quotes: an expression that does not compile as written is tried with all single-quoted tokens turned into strings, so that test('x') and ['a'] work.",
		"itemsToParse removes from the items only the path at the start of its expression, quoted names included, and nothing when there is none; no record is dropped for it.",
		"`//` directly behind `?` is accepted without a space between them.",
		"Regular expressions: calls of groups (\\g<name>), conditional groups and multi-character case folding (ß as ss, ﬀ as ff) are not available.",
		"A format in front of the key of an object ({@base64 \"x\": 1}) is a syntax error; write {(@base64 \"x\"): 1}.",
		"A lone surrogate in a string of a program is U+FFFD and not an error.",
		"Local time is UTC.",
		"An expression has limits: 10 seconds, 10,000 nested calls, values 10,000 levels deep, strings of 16 MiB, lists of 1,048,576 elements, 64 MiB that it builds and 16 MiB of result. One that goes over a limit has no value for that record and is named in the report.",
		"sub, gsub, match, scan and splits find an empty match once at each character; jq counts the bytes of characters outside ASCII and finds some twice.",
		"path($x[0]) of a variable, builtins, modules and {$__loc__} behind another member are not available.",
		"The text that catch gets for some errors is worded differently.",
	}
}
