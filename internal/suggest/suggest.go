// Package suggest finds the known name that is most similar to an unknown one.
package suggest

import "strings"

// Nearest returns the candidate that the user probably meant by word, or "".
//
// It is the candidate with the fewest typing errors, if these are few for its length; else the
// shortest that word is the beginning or the end of, or that word extends: HOLD for
// CONNECTIVITY_HOLD, BOOTSTRAP_SERVERS for BOOTSTRAP.
func Nearest(word string, candidates []string) string {
	if len(word) > 100 {
		return ""
	}
	fold := func(s string) string { return strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToLower(s)) }
	w := fold(word)
	best, fewest := "", len(w)/3+1
	for _, c := range candidates {
		if d := distance(w, fold(c)); d < fewest {
			best, fewest = c, d
		}
	}
	if best != "" || len(w) < 4 {
		return best
	}
	for _, c := range candidates {
		f := fold(c)
		part := strings.HasSuffix(f, "_"+w) || strings.HasPrefix(f, w+"_") ||
			strings.HasPrefix(w, f) && len(f) >= 4 || strings.HasSuffix(w, "_"+f)
		if part && (best == "" || len(c) < len(best)) {
			best = c
		}
	}
	return best
}

// distance returns how many insertions, deletions, substitutions and swaps of
// neighbours turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			row[j] = min(last[j], row[j-1], last[j-1]) + 1
			if a[i-1] == b[j-1] {
				row[j] = min(row[j], last[j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
