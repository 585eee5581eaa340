// Package httprun listens and serves until told to stop: with deadlines on every phase of a request, an error that
// says what to do about a port in use, and an end within a bounded time that lets calls in flight finish.
package httprun

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// Deadlines of a connection. Answers have none of their own here, since some are streams; handlers bound their work.
const (
	readHeader = 10 * time.Second
	readAll    = 60 * time.Second
	idle       = 120 * time.Second
)

// InUseError says that an address is taken.
type InUseError struct{ Addr string }

// Error implements error.
func (e *InUseError) Error() string {
	return e.Addr + " is in use: another program listens there"
}

// Listen listens on a TCP address such as "127.0.0.1:8000"; port 0 picks a free one. An address that is taken gives an
// [*InUseError].
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &InUseError{addr}
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return listener, nil
}

// Endpoint is one listener with what answers there.
type Endpoint struct {
	Name     string // for errors: "MCP server"
	Listener net.Listener
	Handler  http.Handler
	TLS      *tls.Config // nil: plain HTTP
	Logger   *slog.Logger
}

// Serve serves all endpoints until the context ends or one of them fails; then it stops all, waiting up to grace for
// requests in flight, and returns once no goroutine of it is left. It closes the listeners.
func Serve(ctx context.Context, grace time.Duration, endpoints ...Endpoint) error {
	servers := make([]*http.Server, len(endpoints))
	failed := make(chan error, len(endpoints))
	var running sync.WaitGroup
	for i, e := range endpoints {
		servers[i] = e.server()
		running.Go(func() {
			if err := e.serve(servers[i]); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s: %w", e.Name, err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	for _, server := range servers {
		running.Go(func() {
			if server.Shutdown(stopping) != nil {
				_ = server.Close() // what is still open after the grace is cut
			}
		})
	}
	running.Wait()
	return err
}

func (e Endpoint) server() *http.Server {
	server := &http.Server{
		Handler:           e.Handler,
		ReadHeaderTimeout: readHeader,
		ReadTimeout:       readAll,
		IdleTimeout:       idle,
		MaxHeaderBytes:    64 << 10,
		TLSConfig:         e.TLS.Clone(), // the server changes it; nil stays nil
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	if e.Logger != nil {
		server.ErrorLog = slog.NewLogLogger(e.Logger.Handler(), slog.LevelDebug)
	}
	return server
}

func (e Endpoint) serve(server *http.Server) error {
	if e.TLS == nil {
		return server.Serve(e.Listener)
	}
	return server.ServeTLS(e.Listener, "", "")
}
