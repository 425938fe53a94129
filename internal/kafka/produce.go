package kafka

// What precedes the last field of a Produce response from v10 on.
//
//	| correlation id i32 | tags | topics | throttle i32 |
//	topics:     array of | name, from v13 on id | partitions | tags |
//	partitions: array of | index i32 | code i16 | base offset, append time, log start i64
//	                     | errors | message | tags |
//	errors:     array of | record i32 | message | tags |
var (
	produceNames = response(array(compact, producePartitions, tags), fixed(4))
	produceIDs   = response(array(fixed(16), producePartitions, tags), fixed(4))

	producePartitions = array(fixed(4+2+8+8+8), array(fixed(4), compact, tags), compact, tags)
)
