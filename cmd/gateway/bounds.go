package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"roost/gateway"
)

// quota is a number above 0, or off, which is held as 0.
type quota int

func (q *quota) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*q = 0
		return nil
	}
	return (*count)(q).UnmarshalText(text)
}

func (q quota) String() string {
	if q == 0 {
		return "off"
	}
	return strconv.Itoa(int(q))
}

// rate is how many in a second, minute or hour, written 20/s, 300/m or 1000/h; or off.
type rate gateway.Rate

// spans are the times that a rate may name.
var spans = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// maxRate keeps what a rate allows at least a microsecond apart.
const maxRate = 1_000_000

func (r *rate) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*r = rate{}
		return nil
	}
	digits, unit, _ := strings.Cut(string(text), "/")
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || spans[unit] == 0 {
		return fmt.Errorf("%q is not a rate such as 20/s, 300/m or 1000/h, nor off", text)
	}
	if n == 0 || n > maxRate {
		return fmt.Errorf("%q is not between 1 and %d", text, maxRate)
	}
	*r = rate{N: int(n), Per: spans[unit]}
	return nil
}

func (r rate) String() string {
	for unit, span := range spans {
		if r.Per == span {
			return strconv.Itoa(r.N) + "/" + unit
		}
	}
	return "off"
}

// networks are networks and single addresses between commas: 10.0.0.0/8,192.0.2.7. The word none is the empty list.
type networks []netip.Prefix

func (n *networks) UnmarshalText(text []byte) error {
	var words list
	if err := words.UnmarshalText(text); err != nil {
		return err
	}
	*n = nil
	for _, word := range words {
		network, err := netip.ParsePrefix(word)
		if at, single := netip.ParseAddr(word); single == nil && at.Zone() == "" {
			network, err = at.Prefix(at.BitLen())
		}
		if err != nil || network.Addr().Is4In6() {
			return fmt.Errorf("%q is not a network such as 10.0.0.0/8 or 2001:db8::/32", word)
		}
		*n = append(*n, network.Masked())
	}
	return nil
}

func (n networks) String() string {
	words := make([]string, len(n))
	for i, network := range n {
		words[i] = network.String()
	}
	return strings.Join(words, ",")
}

// limits is what the settings say about what clients may take.
func (c *config) limits() gateway.Limits {
	return gateway.Limits{
		Connections:      int(c.MaxConnections),
		ConnectionsPerIP: int(c.MaxConnectionsPerIP),
		ConnectionsPerID: int(c.MaxConnectionsPerID),
		Connects:         gateway.Rate(c.ConnectRate),
		ConnectsPerIP:    gateway.Rate(c.ConnectRatePerIP),
		FailuresPerIP:    gateway.Rate(c.FailedConnectsPerIP),
		RefusalMemory:    time.Duration(c.RefusalMemory),
		Messages:         gateway.Rate(c.MessageRate),
		Joins:            gateway.Rate(c.JoinRate),
		MaxTopic:         int(c.MaxTopicSize),
		MaxEvent:         int(c.MaxEventSize),
		MaxPayload:       int(c.MaxPayloadSize),
	}
}
