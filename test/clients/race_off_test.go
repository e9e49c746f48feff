//go:build !race

package clients_test

// raceEnabled says that the programs are built with the race detector, too.
const raceEnabled = false
