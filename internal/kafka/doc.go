// Package kafka implements the part of the Kafka protocol that a relay needs to
// replace the broker addresses in responses.
//
// # The table
//
// Seven responses carry addresses to which a client connects: Metadata,
// FindCoordinator, DescribeCluster, Produce (v10+), Fetch (v16+), ShareFetch and
// ShareAcknowledge. One table ([APIs]) has a row for every API with the treatment
// of its responses ([TreatmentOf]):
//
//	Pass    nothing; relay the bytes                            most APIs
//	Head    rewrite the leading broker array, relay the rest    Metadata
//	Whole   hold the frame, rewrite it                          FindCoordinator, DescribeCluster, ApiVersions,
//	                                                            Produce, ShareAcknowledge: large ones as Tail
//	Tail    relay all but the last bytes, rewrite those         Fetch, ShareFetch: see [Walker]
//	Refuse  do not pass the request: its response could not be rewritten
//
// # Rewriting a response
//
// A relay reads the header of each request, keeps its key, version and
// correlation id, and treats the response as the table says:
//
//	h, err := kafka.ParseRequestHeader(request)        // bytes after the size
//	switch kafka.TreatmentOf(h.Key, h.Version) {
//	case kafka.Whole:
//		patch, result, err := kafka.PatchWhole(info, response, mapper)
//
// A [Patch] is the rewritten message without a second copy of it: its length is
// known at once, and it is written piece by piece to a buffer of any size. A
// [Walker] rewrites a response that passes in pieces; [Streams] reports for which
// responses that is possible.
//
// A [Mapper] supplies the local addresses, for all endpoints of a response in one
// call. ApiVersions responses are capped, so that clients do not use versions that
// are not in the table.
//
// # Memory
//
// Messages are never decoded into structs: the rewriters walk over the bytes,
// replace hosts and ports and copy everything else, including unknown tags. Every
// length is checked against the frame before it is used, and no length alone makes
// the package allocate: a long array of addresses is read to its end before
// anything of it is kept, and then only its distinct endpoints and two bytes per
// element. [RewriteCost] and [WalkerCost] bound the memory that a response can take
// beyond its own bytes. A frame that passes unchanged costs no allocation.
//
// # What it leaves out
//
// The package has no sockets, no clocks and no state. It does not decode records
// ([RecordSpans] only finds them), does not implement SASL, and validates no more
// of a message than it walks over.
package kafka
