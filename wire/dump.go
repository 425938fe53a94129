package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Encodings returns the encodings that [ReadDump] supports; auto detects the encoding.
func Encodings() []string { return []string{"auto", "hex", "base64", "raw"} }

// dumps are the forms of a line of a hex dump: the offset, the bytes, and the same as text.
//
//	00000010: 6869 0a0a                                hi..       xxd
//	00000010  68 69 0a 0a                              |hi..|     hexdump -C
//		0x0010:  6869 0a0a                                hi..    tcpdump -X
//	0010   68 69 0a 0a                                   hi..     Wireshark
var dumps = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`^[0-9a-fA-F]{8}: ((?:[0-9a-fA-F]{2,4} )+)(?: .*)?$`),
		regexp.MustCompile(`^[0-9a-fA-F]{8}  ((?:[0-9a-fA-F]{2} {1,2})+) *\|.*\|$`),
		regexp.MustCompile(`^\s*0x[0-9a-fA-F]{4,}:  ((?:[0-9a-fA-F]{2,4} ?)+)(?:  .*)?$`),
		regexp.MustCompile(`^[0-9a-fA-F]{4,}   ((?:[0-9a-fA-F]{2} ?)+)(?:  .*)?$`),
	}
})

// lastLine is the last line of hexdump -C: an offset alone.
var lastLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-fA-F]{7,8}$`) })

// ReadDump decodes bytes in the forms in which people exchange them: hex digits, alone or in a hex
// dump, base64, or the bytes themselves. The second result is the encoding that was used.
func ReadDump(input []byte, encoding string) (b []byte, found string, err error) {
	switch encoding {
	case "hex":
		b, err = fromHex(input)
		return b, "hex", err
	case "base64":
		b, err = fromBase64(input)
		return b, "base64", err
	case "raw":
		return input, "raw", nil
	case "auto":
		if b, err = fromHex(input); err == nil {
			return b, "hex", nil
		}
		if b, err = fromBase64(input); err == nil {
			return b, "base64", nil
		}
		return input, "raw", nil
	}
	return nil, "", fmt.Errorf("encoding %q is not one of %s", encoding, strings.Join(Encodings(), ", "))
}

func fromHex(input []byte) ([]byte, error) {
	var digits strings.Builder
	dump := -1 // index in dumps; -1: hex digits alone
	lines := slices.DeleteFunc(strings.Split(strings.ReplaceAll(string(input), "\r", ""), "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	for n, line := range lines {
		if n == 0 {
			dump = slices.IndexFunc(dumps(), func(d *regexp.Regexp) bool { return d.MatchString(line) })
		}
		if dump >= 0 {
			found := dumps()[dump].FindStringSubmatch(line)
			if found == nil && (n < len(lines)-1 || !lastLine().MatchString(line)) {
				return nil, fmt.Errorf("line %d is not a line of a hex dump: %q", n+1, line)
			}
			if found != nil {
				line = found[1]
			} else {
				line = ""
			}
		}
		digits.WriteString(strings.NewReplacer(" ", "", "\t", "", ":", "").Replace(line))
	}
	text := digits.String()
	if text == "" {
		return nil, errors.New("no hex digits")
	}
	return hex.DecodeString(text)
}

func fromBase64(input []byte) ([]byte, error) {
	text := string(bytes.Join(bytes.Fields(input), nil))
	if text == "" {
		return nil, errors.New("no base64")
	}
	return base64.StdEncoding.DecodeString(text)
}
