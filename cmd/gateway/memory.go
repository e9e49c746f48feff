package main

import (
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/caarlos0/env/v11"
)

// gcPercent trades a little work of the collector for memory: a gateway is mostly idle connections, which live long.
const gcPercent = 50

// tuneMemory sets what Go's own variables do not: the collector's pace, and a memory limit from the container's. Neither
// is worth a failed start.
func tuneMemory(environ []string) {
	if env.ToMap(environ)["GOGC"] == "" {
		debug.SetGCPercent(gcPercent)
	}
	_, _ = memlimit.Set()
}
