package kafka

// What stands before the last field of a Fetch response from v16 on.
//
//	| correlation id i32 | tags | throttle i32 | code i16 | session i32 | topics |
//	topics:     array of | id | partitions | tags |
//	partitions: array of | index i32 | code i16 | high watermark, last stable, log start i64
//	                     | aborted | preferred replica i32 | records | tags |
//	aborted:    array of | producer i64 | first offset i64 | tags |
var fetchTopics = response(fixed(4+2+4), array(fixed(16), array(
	fixed(4+2+8+8+8), array(fixed(8+8), tags), fixed(4), compact, tags,
), tags))
