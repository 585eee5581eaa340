package httprun_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/internal/httprun"
)

func TestPortInUse(t *testing.T) {
	first, err := httprun.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = httprun.Listen(t.Context(), first.Addr().String())
	var inUse *httprun.InUseError
	if !errors.As(err, &inUse) || inUse.Addr != first.Addr().String() {
		t.Errorf("got %v, want an InUseError that names %s", err, first.Addr())
	}
}

func TestServeLetsCallsInFlightFinish(t *testing.T) {
	listener, err := httprun.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "finished")
	})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- httprun.Serve(ctx, time.Minute, httprun.Endpoint{Name: "test", Listener: listener, Handler: handler})
	}()
	answered := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answered <- string(body)
	}()
	<-arrived
	cancel()
	close(release)
	if got := <-answered; got != "finished" {
		t.Errorf("the call in flight got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeReportsAFailingEndpoint(t *testing.T) {
	listener, err := httprun.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	err = httprun.Serve(t.Context(), time.Second, httprun.Endpoint{Name: "broken", Listener: listener, Handler: http.NotFoundHandler()})
	if err == nil {
		t.Error("no error of an endpoint that cannot serve")
	}
}
