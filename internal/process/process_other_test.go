//go:build !linux

package process

func linuxParts() map[string]func(string) { return nil }
