package kafka

// RewriteCost returns how many bytes [PatchHead] or [PatchWhole] and the Patch
// allocate at most, besides what the Mapper does; held is the number of bytes
// that the function is given. Where a response names few brokers it is a few
// hundred, whatever its size; the bound is for one that was made to be expensive.
//
//	index       2 per element
//	first       4 per distinct endpoint: its offset
//	table       8 of the hash table, which has two to four slots per endpoint
//	endpoints  32
//	names      their bytes, each rounded up by 15 at most
//
// and an eighth more, because large objects are rounded up too.
func RewriteCost(key int16, held int) int {
	const small = 1 << 10 // errors, what is noted of ApiVersions, one edit
	switch key {
	case KeyApiVersions:
		return small
	case KeyMetadata:
		held = min(held, MetadataBound)
	}
	elements := min(held/minEntry, maxElements)
	endpoints := min(elements, maxEndpoints)
	names := min(held-minEntry*endpoints, maxNames)
	cost := 2*elements + (4+8+32+15)*endpoints + names
	return cost + cost/8 + small
}

// WalkerCost returns how many bytes a [Walker] allocates at most for a response to a
// request of this key with a tail of this size: what it holds of the tail, the same
// rewritten, and the list of the addresses.
func WalkerCost(key int16, tail int) int {
	tail = min(tail, TailBound)
	return 2*tail + RewriteCost(key, tail)
}
