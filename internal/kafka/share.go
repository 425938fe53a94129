package kafka

// What precedes the addresses in the responses of share groups (KIP-932).
//
//	ShareFetch        | correlation id i32 | tags | throttle i32 | code i16 | message
//	                  | lock timeout i32 v1+ | topics |
//	  topics:         array of | id | partitions | tags |
//	  partitions:     array of | index i32 | code i16 | message | acknowledge code i16 | message
//	                           | leader | records | acquired | tags |
//	  leader:         | id i32 | epoch i32 | tags |
//	  acquired:       array of | first, last offset i64 | deliveries i16 | tags |
//
//	ShareAcknowledge  | correlation id i32 | tags | throttle i32 | code i16 | message
//	                  | lock timeout i32 v2+ | topics |
//	  topics:         array of | id | partitions | tags |
//	  partitions:     array of | index i32 | code i16 | message | leader | tags |
var (
	shareFetch0 = response(fixed(4+2), compact, shareTopics)
	shareFetch1 = response(fixed(4+2), compact, fixed(4), shareTopics)
	shareTopics = array(fixed(16), array(
		fixed(4+2), compact, fixed(2), compact,
		fixed(4+4), tags, compact, array(fixed(8+8+2), tags), tags,
	), tags)

	shareAcknowledge0 = response(fixed(4+2), compact, acknowledgeTopics)
	shareAcknowledge2 = response(fixed(4+2), compact, fixed(4), acknowledgeTopics)
	acknowledgeTopics = array(fixed(16), array(
		fixed(4+2), compact, fixed(4+4), tags, tags,
	), tags)
)
