package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A Compression is that of a batch, with its number in the attributes.
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

// String returns the name that Kafka's configuration has for it.
func (c Compression) String() string {
	if c < 0 || int(c) >= len(compressionNames) {
		return fmt.Sprintf("compression %d", int8(c))
	}
	return compressionNames[c]
}

// MarshalText returns the name.
func (c Compression) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a name.
func (c *Compression) UnmarshalText(text []byte) error {
	i := slices.Index(compressionNames, string(text))
	if i < 0 {
		return fmt.Errorf("want one of %q, have %q", compressionNames, text)
	}
	*c = Compression(i)
	return nil
}

// maxDecompressed bounds what becomes of one batch: a few bytes can stand for gigabytes.
const maxDecompressed = 128 << 20

var errTooLarge = fmt.Errorf("it is larger than %d MiB", maxDecompressed>>20)

func (c Compression) decompress(src []byte) ([]byte, error) {
	var (
		r   io.Reader
		err error
	)
	switch c {
	case None:
		return src, nil
	case Gzip:
		r, err = gzip.NewReader(bytes.NewReader(src))
	case Snappy:
		return unsnappy(src)
	case LZ4:
		r = lz4.NewReader(bytes.NewReader(src))
	case Zstd:
		var z *zstd.Decoder
		z, err = zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxDecompressed))
		if err == nil {
			defer z.Close()
		}
		r = z
	default:
		return nil, fmt.Errorf("%v is not known", c)
	}
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, maxDecompressed+1))
	if err == nil && len(out) > maxDecompressed {
		err = errTooLarge
	}
	return out, err
}

// xerial is how the framing of snappy-java begins, in which Java clients write.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

// unsnappy reads a snappy block, or blocks in the framing of snappy-java.
//
//	82 53 4e 41 50 50 59 00 | version int32 | compatible int32 | length int32 | block | ...
func unsnappy(src []byte) (out []byte, err error) {
	if !bytes.HasPrefix(src, xerial) {
		return unsnappyBlock(nil, src)
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
		if out, err = unsnappyBlock(out, src[:n]); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return out, nil
}

func unsnappyBlock(out, block []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if n > maxDecompressed-len(out) {
		return nil, errTooLarge
	}
	text, err := snappy.Decode(nil, block)
	return append(out, text...), err
}

// Codec returns what franz-go calls it.
func (c Compression) Codec() (kgo.CompressionCodec, error) {
	switch c {
	case None:
		return kgo.NoCompression(), nil
	case Gzip:
		return kgo.GzipCompression(), nil
	case Snappy:
		return kgo.SnappyCompression(), nil
	case LZ4:
		return kgo.Lz4Compression(), nil
	case Zstd:
		return kgo.ZstdCompression(), nil
	}
	return kgo.CompressionCodec{}, fmt.Errorf("%v is not known", c)
}

// compress is franz-go's.
func (c Compression) compress(src []byte) ([]byte, error) {
	if c == None {
		return src, nil
	}
	codec, err := c.Codec()
	if err != nil {
		return nil, err
	}
	compressor, err := kgo.DefaultCompressor(codec)
	if err != nil {
		return nil, err
	}
	out, used := compressor.Compress(new(bytes.Buffer), src)
	if Compression(used) != c {
		return nil, errors.New("it cannot be compressed")
	}
	return bytes.Clone(out), nil
}
