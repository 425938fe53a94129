package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// A Compression is the compression of a batch: its number in the attributes of the batch.
type Compression int8

// The compressions of Kafka.
const (
	None Compression = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

var compressionNames = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// String returns the name in Kafka's configuration: zstd.
func (c Compression) String() string {
	if c < 0 || int(c) >= len(compressionNames) {
		return fmt.Sprintf("compression %d", int8(c))
	}
	return compressionNames[c]
}

// MarshalText returns the name.
func (c Compression) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText parses a name.
func (c *Compression) UnmarshalText(text []byte) error {
	i := slices.Index(compressionNames, string(text))
	if i < 0 {
		return fmt.Errorf("expected one of %q, got %q", compressionNames, text)
	}
	*c = Compression(i)
	return nil
}

// BatchLimit is the largest size of a decompressed batch, in bytes, if [Codec.BatchLimit] is 0. A
// few bytes can be decompressed to gigabytes.
const BatchLimit = 64 << 20

// errTooLarge is the error of a batch that exceeds its limit.
var errTooLarge = errors.New("the batch is larger than its limit")

// An inflater decompresses the batches of one message, one after the other, and decodes their
// records. The zero value limits each batch to [BatchLimit].
type inflater struct {
	// batchLimit bounds each batch; 0: [BatchLimit].
	batchLimit int
	// limit bounds all batches together; 0: no such bound.
	limit  int
	memory *budget
	// arena holds all decompressed batches if there is a limit. It is allocated once per message,
	// however many batches the message has.
	arena []byte

	gzip *gzip.Reader
	lz4  *lz4.Reader
	zstd *zstd.Decoder
}

// inflater returns an inflater for one message.
func (c *Codec) inflater() *inflater {
	return &inflater{batchLimit: c.BatchLimit, limit: c.Limit, memory: c.budget()}
}

// close releases the memory of the decompressors.
func (f *inflater) close() {
	if f.zstd != nil {
		f.zstd.Close()
	}
}

// decompress returns src, the records of a batch, decompressed.
func (f *inflater) decompress(c Compression, src []byte) ([]byte, error) {
	if c == None {
		return src, nil
	}
	tooLarge := &LimitError{"decompressed batches", cmp.Or(f.batchLimit, BatchLimit)}
	var room []byte
	most := tooLarge.Limit
	if f.limit > 0 {
		if f.arena == nil {
			f.arena = make([]byte, 0, f.limit)
		}
		room = f.arena[len(f.arena):]
		if cap(room) <= most {
			tooLarge, most = &LimitError{"decompressed records", f.limit}, cap(room)
		}
		room = room[:0:most]
	}
	out, err := f.expand(c, room, most, src)
	if errors.Is(err, errTooLarge) {
		return nil, tooLarge
	}
	if err != nil {
		return nil, err
	}
	if f.limit > 0 {
		f.arena = f.arena[:len(f.arena)+len(out)]
	}
	return out[:len(out):len(out)], nil
}

// expand appends src, decompressed, to dst, which is empty, at most limit bytes. If the capacity
// of dst is the limit, it allocates no other.
func (f *inflater) expand(c Compression, dst []byte, limit int, src []byte) ([]byte, error) {
	switch c {
	case Gzip:
		if f.gzip == nil {
			f.gzip = new(gzip.Reader)
		}
		if err := f.gzip.Reset(bytes.NewReader(src)); err != nil {
			return nil, err
		}
		return readAll(dst, limit, f.gzip)
	case Snappy:
		return unsnappy(dst, limit, src)
	case LZ4:
		if f.lz4 == nil {
			f.lz4 = lz4.NewReader(nil)
		}
		f.lz4.Reset(bytes.NewReader(src))
		return readAll(dst, limit, f.lz4)
	case Zstd:
		return f.unzstd(dst, limit, src)
	}
	return nil, fmt.Errorf("%v is not known", c)
}

// readAll appends the bytes of r to dst, at most limit bytes.
func readAll(dst []byte, limit int, r io.Reader) ([]byte, error) {
	var one [1]byte // to see whether anything follows the limit
	for {
		room := dst[len(dst):min(cap(dst), limit)]
		switch {
		case len(dst) == limit:
			room = one[:]
		case len(room) == 0:
			dst = slices.Grow(dst, min(max(len(dst), bytes.MinRead), limit-len(dst)))
			continue
		}
		n, err := r.Read(room)
		if n > 0 && len(dst) == limit {
			return nil, errTooLarge
		}
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// maxWindow bounds the window of zstd: twice the largest window of its levels up to 19. The window
// takes no memory of its own, because all is decoded into one buffer.
const maxWindow = 16 << 20

func (f *inflater) unzstd(dst []byte, limit int, src []byte) (out []byte, err error) {
	if f.zstd == nil {
		f.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(uint64(max(limit, maxWindow))), zstd.WithDecodeAllCapLimit(f.limit > 0))
		if err != nil {
			return nil, err
		}
	}
	out, err = f.zstd.DecodeAll(src, dst)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || len(out) > limit {
		return nil, errTooLarge
	}
	return out, err
}

// xerial begins the framing of snappy-java, in which Java clients write.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

// unsnappy decompresses a snappy block, or blocks in the framing of snappy-java.
//
//	82 53 4e 41 50 50 59 00 | version int32 | compatible int32 | length int32 | block | ...
func unsnappy(dst []byte, limit int, src []byte) (out []byte, err error) {
	if !bytes.HasPrefix(src, xerial) {
		return unsnappyBlock(dst, limit, src)
	}
	const head = 16
	if len(src) < head {
		return nil, ErrShort
	}
	for src = src[head:]; len(src) > 0; {
		if len(src) < 4 {
			return nil, ErrShort
		}
		n := int64(binary.BigEndian.Uint32(src))
		if src = src[4:]; n > int64(len(src)) {
			return nil, ErrShort
		}
		if dst, err = unsnappyBlock(dst, limit, src[:n]); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return dst, nil
}

func unsnappyBlock(dst []byte, limit int, block []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if n > limit-len(dst) {
		return nil, errTooLarge
	}
	dst = slices.Grow(dst, n)
	if _, err = snappy.Decode(dst[len(dst):len(dst)+n], block); err != nil {
		return nil, err
	}
	return dst[:len(dst)+n], nil
}

// compress returns src compressed, in forms that brokers and clients of every release read: a
// plain snappy block, lz4 frames of independent blocks, zstd with a window of 64 KiB.
func (c Compression) compress(src []byte) ([]byte, error) {
	var out bytes.Buffer
	switch c {
	case None:
		return src, nil
	case Gzip:
		return writeAll(&out, gzip.NewWriter(&out), src)
	case Snappy:
		return snappy.Encode(nil, src), nil
	case LZ4:
		return writeAll(&out, lz4.NewWriter(&out), src)
	case Zstd:
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(64<<10), zstd.WithZeroFrames(true))
		if err != nil {
			return nil, err
		}
		return w.EncodeAll(src, nil), w.Close()
	}
	return nil, fmt.Errorf("%v is not known", c)
}

// writeAll returns what w, which writes to out, makes of src.
func writeAll(out *bytes.Buffer, w io.WriteCloser, src []byte) ([]byte, error) {
	_, err := w.Write(src)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}
