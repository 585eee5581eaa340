// Package msalerr turns the errors of MSAL Go into the words of package entra, in one place. MSAL's own texts quote
// whole answers of the authority, tokens included: nothing of them leaves this package.
package msalerr

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"

	"github.com/onbehalf/onbehalf/entra"
)

// What an error that is no answer of Entra's comes down to. Errors of [Clean] match one of them.
var (
	ErrTimeout    = errors.New("the authority did not answer in time")
	ErrConnection = errors.New("the authority could not be reached")
	ErrMalformed  = errors.New("the authority's answer could not be used")
)

// From returns Entra's answer inside an error of MSAL, or nil when Entra did not answer.
//
// MSAL reads the body of some errors (those of the device code flow) before it hands them on; their text then still
// holds it.
func From(err error) *entra.Error {
	if known, ok := errors.AsType[*entra.Error](err); ok {
		return known
	}
	var call msal.CallErr
	if !errors.As(err, &call) || call.Resp == nil {
		return nil
	}
	e := entra.ParseError(call.Resp.StatusCode, call.Resp.Header, body(&call))
	if e.Correlation == "" {
		e.Correlation = correlation(&call)
	}
	if e.Trace == "" {
		e.Trace = token(call.Resp.Header.Get("x-ms-request-id"))
	}
	return e
}

// Clean returns an error that is safe to show and log in place of one of MSAL's: Entra's answer as *[entra.Error], or
// one that matches [ErrTimeout], [ErrConnection], [ErrMalformed] or a context's error. Clean of nil is nil.
func Clean(err error) error {
	if err == nil {
		return nil
	}
	if e := From(err); e != nil {
		return e
	}
	var network net.Error
	var operation *net.OpError
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return ErrTimeout
	case errors.As(err, &network), errors.As(err, &operation), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrConnection
	default:
		return ErrMalformed
	}
}

// body returns what the authority sent: from the response, or from the error's text when it was read already.
func body(call *msal.CallErr) io.Reader {
	if call.Resp.Body != nil {
		if text, err := io.ReadAll(io.LimitReader(call.Resp.Body, maxBody)); err == nil && len(text) > 0 {
			call.Resp.Body = io.NopCloser(strings.NewReader(string(text))) // for whoever looks again
			return strings.NewReader(string(text))
		}
	}
	if call.Err == nil {
		return strings.NewReader("")
	}
	_, text, _ := strings.Cut(call.Err.Error(), "\n") // "http call(URL)(POST) error: reply status code was 400:\n{…}"
	return strings.NewReader(text)
}

// maxBody bounds what is read of an answer; package entra bounds it further.
const maxBody = 1 << 20

func correlation(call *msal.CallErr) string {
	if id := token(call.Resp.Header.Get("client-request-id")); id != "" {
		return id
	}
	if call.Req == nil {
		return ""
	}
	return token(call.Req.Header.Get("client-request-id"))
}

// token lets only short printable ids through: they reach logs and people.
func token(id string) string {
	if len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ""
	}
	return id
}
