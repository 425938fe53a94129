// Package kafka knows just enough of the Kafka protocol to relay a connection
// and to replace the broker addresses in it.
//
// Seven responses carry addresses to which a client connects: Metadata,
// FindCoordinator, DescribeCluster, Produce (v10+), Fetch (v16+), ShareFetch and
// ShareAcknowledge. One table ([APIs]) has a row for every API and says what its
// responses need ([TreatmentOf]):
//
//	Pass    nothing; relay the bytes                            most APIs
//	Head    rewrite the leading broker array, relay the rest    Metadata
//	Whole   hold the frame, rewrite it                          FindCoordinator, DescribeCluster, ApiVersions,
//	                                                            Produce, ShareAcknowledge: large ones as Tail
//	Tail    relay all but the last bytes, rewrite those         Fetch, ShareFetch: see [Walker]
//	Refuse  the request must not pass: its response could not be rewritten
//
// A relay reads the header of each request, remembers key, version and
// correlation id, and when the response comes does what the table says:
//
//	h, err := kafka.ParseRequestHeader(request)        // bytes after the size
//	switch kafka.TreatmentOf(h.Key, h.Version) {
//	case kafka.Whole:
//		patch, result, err := kafka.PatchWhole(info, response, mapper)
//
// A [Patch] is the rewritten message without a second copy of it: its length is
// known at once, and it is assembled piece by piece in a buffer of any size.
// [RewriteCost] and [WalkerCost] bound the memory that a response can take beyond
// its own bytes. [Streams] names the responses that need not be held at all.
//
// A [Mapper] supplies the local addresses, for all endpoints of a response at
// once. ApiVersions is capped, so that clients do not ask for versions that are
// not known here.
//
// Messages are never decoded into structs: the rewriters walk over the bytes,
// take out hosts and ports and copy everything else as it is, unknown tags too.
// Every length is checked against the frame before it is used, and nothing is
// allocated because of a length alone: a long array of addresses is read to its
// end before anything is kept of it, and then it is the distinct endpoints and two
// bytes per element. Deciding about a frame that passes
// untouched allocates nothing.
//
// The package has no sockets, no clocks and no state. It does not read records,
// speak SASL, or validate more of a message than it must walk over.
package kafka
