package web_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/web"
)

// BenchmarkPage is the page of a conversation, over HTTP, to its last byte.
func BenchmarkPage(b *testing.B) {
	s := start(b, options{})
	w := s.window(b, "alice")
	w.signIn()
	c := w.newConversation()
	w.ask(c, "*")
	w.settled(c)
	b.ReportAllocs()
	for b.Loop() {
		if response := w.raw(http.MethodGet, s.URL+"/c/"+c, "", nil); response.StatusCode != http.StatusOK { //nolint:bodyclose // raw has read and closed it
			b.Fatal(response.Status)
		}
	}
}

// BenchmarkIdleConversations is what a thousand conversations cost in memory that were answered once and are watched by an
// open page each: the server's part, and that of the thousand clients in the same process.
func BenchmarkIdleConversations(b *testing.B) {
	const pages, each = 1000, 25 // a person may have 32 pages
	directory, err := entraserver.Contoso()
	if err != nil {
		b.Fatal(err)
	}
	for i := range pages / each {
		if err := directory.AddPerson(&entraserver.Person{
			ID: id(b, identity.ParseObjectID, fmt.Sprintf("c4030000-0000-4000-8000-%012x", i)), UPN: fmt.Sprintf("p%03d@contoso.example", i),
			Name: "Person", Enabled: true, Password: identity.NewSecret(entraserver.ContosoPassword),
		}); err != nil {
			b.Fatal(err)
		}
	}
	moved := &clock{} // so that asking often is not too often
	s := start(b, options{directory: directory, change: func(cfg *web.Config) { cfg.Now = moved.now }})
	for b.Loop() {
		before := heap()
		var streams []io.Closer
		for i := range pages / each {
			w := s.window(b, fmt.Sprintf("p%03d", i))
			w.signIn()
			for range each {
				moved.advance(3 * time.Second)
				c := w.newConversation()
				w.ask(c, "*")
				w.settled(c)
				client := *w.Client()
				client.Timeout = 0
				response, err := client.Get(s.URL + "/api/conversations/" + c + "/events") //nolint:bodyclose // at the end, with all the others
				if err != nil || response.StatusCode != http.StatusOK {
					b.Fatal(err, response)
				}
				streams = append(streams, response.Body)
			}
		}
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
		for _, stream := range streams {
			_ = stream.Close()
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
