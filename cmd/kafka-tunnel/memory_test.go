package main

import "testing"

func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		share string
		most  int64
		want  int64
	}{
		{"", 256 * mib, 256 * mib},
		{"64m", 256 * mib, 64 * mib / 10 * 9},
		{"1024m", 256 * mib, 256 * mib},
		{"1g", 0, 1024 * mib / 10 * 9},
		{"rubbish", 256 * mib, 256 * mib},
		{"-5m", 256 * mib, 256 * mib},
		{"99999999999999999999m", 256 * mib, 256 * mib},
		{"", 0, 0},
	}
	for _, tt := range tests {
		if got := memoryLimit(tt.share, tt.most); got != tt.want {
			t.Errorf("memoryLimit(%q, %d) = %d, want %d", tt.share, tt.most, got, tt.want)
		}
	}
}
