package webhook

import (
	"fmt"
	"slices"
	"strings"
)

// event is one of the calls.
type event uint8

const (
	connect event = iota
	join
	push
	leave
	disconnect
)

// words are the events as settings name them, types as requests do.
var (
	words = [...]string{"connect", "join", "push", "leave", "disconnect"}
	types = [...]string{"socket.connect", "channel.join", "channel.push", "channel.leave", "socket.disconnect"}
)

// parseEvents reads Config.Events.
func parseEvents(names []string) (on [len(words)]bool, err error) {
	for _, name := range names {
		i := slices.Index(words[:], strings.TrimSpace(name))
		if i < 0 {
			return on, fmt.Errorf("unknown event %q: there are %s", name, strings.Join(words[:], ", "))
		}
		on[i] = true
	}
	return on, nil
}
