//go:build race

package conformance_test

// raceEnabled says that the gateway is built with the race detector, too.
const raceEnabled = true
