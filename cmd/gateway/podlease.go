package main

import (
	"fmt"
	"time"
)

// minLease leaves time for a beat that comes late: a pod renews its lease every third of it.
const minLease = 3 * time.Second

// lease is how long a silent pod keeps its members.
type lease duration

func (l *lease) UnmarshalText(text []byte) error {
	if err := (*duration)(l).UnmarshalText(text); err != nil {
		return err
	}
	if time.Duration(*l) < minLease {
		return fmt.Errorf("%s is less than %s", *l, duration(minLease))
	}
	return nil
}

func (l lease) String() string { return duration(l).String() }
