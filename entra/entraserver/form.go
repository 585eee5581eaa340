package entraserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxForm bounds the body of a request: an assertion and a client assertion of 64 KiB each fit.
const maxForm = 256 << 10

// readForm reads the body of a POST. RFC 6749 §3.2 wants each parameter at most once; an empty one counts as absent.
func readForm(w http.ResponseWriter, c *call) (url.Values, error) {
	c.Body = http.MaxBytesReader(w, c.Body, maxForm)
	if err := c.ParseForm(); err != nil {
		return nil, refuse(9002313)
	}
	for name, values := range c.PostForm {
		if len(values) > 1 && !slices.Contains(values, "") && name != "client-request-id" {
			return nil, refuse(9002313)
		}
	}
	if id := object(c.PostForm.Get("client-request-id")); !id.IsZero() && c.Header.Get("client-request-id") == "" {
		c.correlation = id.String()
	}
	return c.PostForm, nil
}

// need returns a parameter that must be there.
func need(form url.Values, name string) (string, error) {
	if v := strings.TrimSpace(form.Get(name)); v != "" {
		return v, nil
	}
	return "", refuse(900144, name)
}
