// Command bench loads the same documents into the engine of the local search service and into what else could have been
// used, Bleve and SQLite, asks all the same questions in the name of the same people, checks that the answers agree, and
// prints how long each took. It is a module of its own so that the peers stay out of the product's go.mod.
//
//	cd bench && go run . -docs 100000
//	cd bench && go run . -docs 1000000 -peers onbehalf
//	apt-cache dumpavail | go run ../examples/debian > debian.jsonl && go run . -file debian.jsonl
//
// Run it on a quiet machine; each figure is the best of a few rounds all the same. The tables in docs/performance.md are its output.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
)

func main() {
	o := options{out: os.Stdout}
	flag.IntVar(&o.docs, "docs", 100_000, "how many documents to make")
	flag.StringVar(&o.file, "file", "", "load the documents of this file instead, as examples/debian writes them")
	flag.IntVar(&o.queries, "queries", 60, "how many queries for each figure")
	flag.StringVar(&o.peers, "peers", "", "names of peers, comma-separated; default all")
	flag.StringVar(&o.dir, "dir", "", "where the indexes go; default a temporary folder that is removed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	docs, queries int
	peers, dir    string
	file          string
	quick         bool // no throughput
	out           io.Writer
}

func run(ctx context.Context, o options) error {
	dir := o.dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "bench"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	c := madeCorpus(o.docs)
	if o.file != "" {
		var err error
		if c, err = fileCorpus(o.file); err != nil {
			return err
		}
		o.docs = c.size
	}
	b := &bench{options: o, corpus: c, dir: dir, answers: map[cell][]*answer{}}
	for _, p := range peers() {
		if o.peers != "" && !strings.Contains(","+o.peers+",", ","+p.name+",") {
			continue
		}
		if err := b.measure(ctx, p.name, p.open); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", p.name, err), b.report())
		}
	}
	return b.report()
}
