package main

import "testing"

func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		share     string
		cgroup    int64
		most      int64
		container int64 // of which a quarter may be held for others (R25)
		soft      int64
	}{
		{"", 0, 256 * mib, 0, 256 * mib},
		{"64m", 0, 256 * mib, 64 * mib, 64 * mib / 10 * 9},
		{"64m", 512 * mib, 256 * mib, 64 * mib, 64 * mib / 10 * 9},
		{"512m", 64 * mib, 256 * mib, 64 * mib, 64 * mib / 10 * 9},
		{"", 64 * mib, 256 * mib, 64 * mib, 64 * mib / 10 * 9},
		{"1024m", 0, 256 * mib, 1024 * mib, 256 * mib},
		{"1g", 0, 0, 1024 * mib, 1024 * mib / 10 * 9},
		{"rubbish", 0, 256 * mib, 0, 256 * mib},
		{"-5m", 0, 256 * mib, 0, 256 * mib},
		{"99999999999999999999m", 0, 256 * mib, 0, 256 * mib},
		{"", 0, 0, 0, 0},
	}
	for _, tt := range tests {
		container := containerMemory(tt.share, tt.cgroup)
		if soft := softLimit(container, tt.most); container != tt.container || soft != tt.soft {
			t.Errorf("MEMORY_LIMIT %q, cgroup %d, limits.memory %d: container %d, soft limit %d; want %d, %d",
				tt.share, tt.cgroup, tt.most, container, soft, tt.container, tt.soft)
		}
	}
}
