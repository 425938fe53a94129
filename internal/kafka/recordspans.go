package kafka

import "errors"

// A Span is the part of a frame from offset Start up to End, which is exclusive.
type Span struct{ Start, End int }

// MaxRecordSpans bounds the spans that [RecordSpans] returns.
const MaxRecordSpans = 4096

// HasRecords reports whether the frames of an API carry records: requests of Produce, responses
// to Fetch and ShareFetch.
func HasRecords(request bool, key int16) bool {
	if request {
		return key == KeyProduce
	}
	return key == KeyFetch || key == KeyShareFetch
}

// RecordSpans returns where the records are in a Produce request, or in a Fetch or ShareFetch
// response. frame holds its first bytes, without the size that precedes them; size is that of
// the whole frame. RecordSpans only follows lengths and decodes nothing. known is the number of
// bytes of which it is known whether they are records. What follows may be records or not: the
// frame continues, is malformed or has more than [MaxRecordSpans] record sets. last reports that
// the bytes after known begin with the last record set, so that no error code follows.
//
//	Produce request:  | header | transactional id v3+ | acks i16, timeout i32 | topics |
//	  topics:         array of | name, or id v13+ | array of | index i32 | records | tags | tags |
//	Fetch response:   | header | throttle i32 v1+ | code i16, session i32 v7+ | topics |
//	  topics:         array of | name, or id v13+ | partitions | tags |
//	  partitions:     array of | index i32 | code i16 | high watermark i64 | last stable i64 v4+ |
//	                  log start i64 v5+ | aborted v4+ | preferred replica i32 v11+ | records | tags |
//	  aborted:        array of | producer i64 | first offset i64 | tags |
//
// The layout of ShareFetch is drawn in tail.go; its addresses follow the topics.
func RecordSpans(frame []byte, size int, request bool, key, version int16) (records []Span, known int, last bool) {
	a, ok := Lookup(key)
	if !ok || !HasRecords(request, key) || version < 0 || version > a.MaxVersion {
		return nil, 0, false
	}
	w := recordWalk{cursor: newPartialCursor(frame, size, size), flexible: a.Flexible(version), version: version}
	w.header(request)
	switch key {
	case KeyProduce:
		w.produce()
	case KeyFetch:
		w.fetch()
	default:
		w.shareFetch()
	}
	if w.err == nil && w.off < len(frame) {
		w.malformed()
	}
	return w.spans, w.off, w.inRecords && w.more == 0 && errors.Is(w.err, ErrShort)
}

// A recordWalk moves over the fields of one frame.
type recordWalk struct {
	cursor
	flexible  bool
	version   int16
	spans     []Span
	more      int  // how many of the arrays around the current field have further elements
	inRecords bool // the current field is a record set
}

func (w *recordWalk) header(request bool) {
	if request {
		w.skip(RequestHeaderLen)
		w.nullable(false) // the client id, in every version
	} else {
		w.skip(4)
	}
	w.tagged()
}

// tagged moves over tags, if the version has them.
func (w *recordWalk) tagged() {
	if w.flexible {
		w.tags()
	}
}

// array calls element for each element of an array.
func (w *recordWalk) array(element func()) {
	for n := w.count(w.flexible); n > 0; n-- {
		if n > 1 {
			w.more++
		}
		if element(); w.err != nil {
			return // more is that of the field that cannot be read
		}
		if n > 1 {
			w.more--
		}
	}
}

// since moves over a field of n bytes that exists from a version on.
func (w *recordWalk) since(version int16, n int) {
	if w.version >= version {
		w.skip(n)
	}
}

// records adds a record set to the spans and moves over it. The walk ends at the first byte of a
// record set that was not received whole.
func (w *recordWalk) records() {
	n := max(w.count(w.flexible), 0) // bytes; null has none
	if len(w.spans) == MaxRecordSpans {
		w.fail(ErrTooLarge)
	}
	start := w.off
	w.inRecords = w.err == nil
	if w.skip(n); w.err != nil {
		return
	}
	w.inRecords = false
	if n > 0 {
		w.spans = append(w.spans, Span{start, w.off})
	}
}

// topic moves over the name of a topic, or its id.
func (w *recordWalk) topic(ids int16) {
	if w.version >= ids {
		w.skip(16)
		return
	}
	w.string(w.flexible)
}

func (w *recordWalk) produce() {
	if w.version >= 3 {
		w.nullable(w.flexible)
	}
	w.skip(2 + 4)
	w.array(func() {
		w.topic(13)
		w.array(func() {
			w.skip(4)
			w.records()
			w.tagged()
		})
		w.tagged()
	})
	w.tagged()
}

func (w *recordWalk) fetch() {
	w.since(1, 4)
	w.since(7, 2+4)
	w.array(func() {
		w.topic(13)
		w.array(func() {
			w.skip(4 + 2 + 8)
			w.since(4, 8)
			w.since(5, 8)
			if w.version >= 4 {
				w.array(func() {
					w.skip(8 + 8)
					w.tagged()
				})
			}
			w.since(11, 4)
			w.records()
			w.tagged()
		})
		w.tagged()
	})
	w.tagged()
}

func (w *recordWalk) shareFetch() {
	w.skip(4 + 2)
	w.nullable(true)
	w.since(1, 4)
	w.array(func() {
		w.skip(16)
		w.array(func() {
			w.skip(4 + 2)
			w.nullable(true)
			w.skip(2)
			w.nullable(true)
			w.skip(4 + 4)
			w.tags()
			w.records()
			w.array(func() {
				w.skip(8 + 8 + 2)
				w.tags()
			})
			w.tags()
		})
		w.tags()
	})
	w.array(func() { // the addresses
		w.skip(4)
		w.nullable(true)
		w.skip(4)
		w.nullable(true)
		w.tags()
	})
	w.tags()
}
