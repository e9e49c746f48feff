package main

import (
	"encoding"
	"fmt"
	"reflect"
	"testing"
)

func TestValues(t *testing.T) {
	for _, c := range []struct {
		value      encoding.TextUnmarshaler
		text, want string
	}{
		{new(size), "64KiB", "64KiB"},
		{new(size), "65536", "64KiB"},
		{new(size), "65537", "65537"},
		{new(size), "1 MiB", "1MiB"},
		{new(size), "1024KiB", "1MiB"},
		{new(size), "12B", "12"},
		{new(size), "1GiB", "1GiB"},
		{new(size), "2047MiB", "2047MiB"},
		{new(size), "2147483647", "2147483647"},
		{new(duration), "60s", "1m"},
		{new(duration), "90s", "1m30s"},
		{new(duration), "10m", "10m"},
		{new(duration), "1h", "1h"},
		{new(duration), "70m", "1h10m"},
		{new(duration), "250ms", "250ms"},
		{new(toggle), "ON", "on"},
		{new(toggle), "true", "on"},
		{new(toggle), "off", "off"},
		{new(toggle), "0", "off"},
		{new(list), " a, b,,c ", "a,b,c"},
		{new(list), "none", ""},
		{new(port), "0", "0"},
		{new(port), "65535", "65535"},
		{new(count), "7", "7"},
		{new(quota), "7", "7"},
		{new(quota), "off", "off"},
		{new(rate), "20/s", "20/s"},
		{new(rate), "300/m", "300/m"},
		{new(rate), "1000000/h", "1000000/h"},
		{new(rate), "off", "off"},
		{new(networks), "10.1.2.3/8, 192.0.2.7,2001:db8::1/32,::1", "10.0.0.0/8,192.0.2.7/32,2001:db8::/32,::1/128"},
		{new(networks), "none", ""},
		{new(percent), "50%", "50%"},
		{new(percent), "100%", "100%"},
		{new(percent), "29%", "29%"},
		{new(percent), "off", "off"},
		{new(retries), "2", "2"},
		{new(retries), "off", "off"},
		{new(level), "WARN", "warn"},
		{new(format), "text", "text"},
		{new(podID), "web-1_A", "web-1_A"},
		{new(webURL), "https://u:secret@example.com/hook?a=b", "https://u:xxxxx@example.com/hook?hidden"},
	} {
		if err := c.value.UnmarshalText([]byte(c.text)); err != nil {
			t.Errorf("%T %q: got error %v, want %q", c.value, c.text, err, c.want)
			continue
		}
		if got := fmt.Sprint(reflect.ValueOf(c.value).Elem()); got != c.want {
			t.Errorf("%T %q: got %q, want %q", c.value, c.text, got, c.want)
		}
	}
}

func TestValuesRefused(t *testing.T) {
	for _, c := range []struct {
		value encoding.TextUnmarshaler
		texts []string
	}{
		{new(size), []string{"0", "-1", "x", "KiB", "1KB", "1.5MiB", "2GiB", "2048MiB", "2147483648", "99999999999999999999"}},
		{new(percent), []string{"50", "0%", "101%", "-1%", "1.5%", "on"}},
		{new(retries), []string{"0", "-1", "on", "1.5"}},
		{new(duration), []string{"30", "0s", "-1s", "soon"}},
		{new(toggle), []string{"maybe", "2"}},
		{new(port), []string{"tcp://10.0.0.1:4000", "65536", "-1", ":4000"}},
		{new(count), []string{"0", "-1", "many", "3000000000"}},
		{new(quota), []string{"0", "-1", "on"}},
		{new(rate), []string{"20", "20/d", "0/s", "-1/s", "1.5/s", "/s", "s", "1000001/s", "20/s/s", "20 / s"}},
		{new(networks), []string{"10.0.0.0/33", "proxy", "10.0.0.0-10.0.0.9", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0.0/8;::1"}},
		{new(level), []string{"loud", "info+1"}},
		{new(format), []string{"JSON5"}},
		{new(podID), []string{"a.b", "a b", "ä"}},
		{new(webURL), []string{"example.com", "ftp://example.com", "http://", "http://%zz", "/path"}},
	} {
		for _, text := range c.texts {
			if err := c.value.UnmarshalText([]byte(text)); err == nil {
				t.Errorf("%T %q: got %v, want an error", c.value, text, c.value)
			}
		}
	}
}
