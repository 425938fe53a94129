package wire

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// TestReadDump: ReadDump reads the dumps of well-known tools.
func TestReadDump(t *testing.T) {
	want := []byte("\x00\x00\x00\x15\x00\x12\x00\x00\x00\x00\x00\x01\x00\x0bkafka-tunnel")
	for name, text := range map[string]string{
		"digits": "00000015001200000000000100 0b6b61666b612d74756e6e656c",
		"colons": "00:00:00:15:00:12:00:00:00:00:00:01:00:0b:6b:61:66:6b:61:2d:74:75:6e:6e:65:6c",
		"xxd": `00000000: 0000 0015 0012 0000 0000 0001 000b 6b61  ..............ka
00000010: 666b 612d 7475 6e6e 656c                 fka-tunnel
`,
		"hexdump -C": `00000000  00 00 00 15 00 12 00 00  00 00 00 01 00 0b 6b 61  |..............ka|
00000010  66 6b 61 2d 74 75 6e 6e  65 6c                    |fka-tunnel|
0000001a
`,
		"tcpdump -X": "\t0x0000:  0000 0015 0012 0000 0000 0001 000b 6b61  ..............ka\n\t0x0010:  666b 612d 7475 6e6e 656c                 fka-tunnel\n",
		"Wireshark":  "0000   00 00 00 15 00 12 00 00 00 00 00 01 00 0b 6b 61   ..............ka\r\n0010   66 6b 61 2d 74 75 6e 6e 65 6c                     fka-tunnel\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got, found, err := ReadDump([]byte(text), "auto"); err != nil || found != "hex" || !bytes.Equal(got, want) {
				t.Errorf("%s %x %v", found, got, err)
			}
		})
	}
	for encoding, text := range map[string]string{"hex": "0g", "base64": "?", "gzip": ""} {
		if _, _, err := ReadDump([]byte(text), encoding); err == nil {
			t.Errorf("%s: %q was read", encoding, text)
		}
	}
	if _, _, err := ReadDump([]byte(strings.Replace(hex.Dump(make([]byte, 40)), "00000010  ", "", 1)), "hex"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}
