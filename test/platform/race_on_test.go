//go:build linux && race

package platform

const raceFlag = "-race"
