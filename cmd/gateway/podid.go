package main

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
)

// podID names a pod. A connection id is the pod id, a dot and more, so there is no dot in it.
type podID string

var (
	isPodID      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`).MatchString
	notInPodID   = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
	maxHostInPod = 60
)

func (p *podID) UnmarshalText(text []byte) error {
	if !isPodID(string(text)) {
		return fmt.Errorf("%q may hold up to 100 letters, digits, _ and - only", text)
	}
	*p = podID(text)
	return nil
}

// newPodID makes an id from the host name and something random, so that a pod that starts again is another one.
func newPodID(hostname func() (string, error)) podID {
	host, err := hostname()
	if err != nil {
		host = ""
	}
	host = strings.Trim(notInPodID.ReplaceAllString(host, "-"), "-")
	if host == "" {
		host = "pod"
	}
	return podID(host[:min(len(host), maxHostInPod)] + "-" + strings.ToLower(rand.Text()[:6]))
}
