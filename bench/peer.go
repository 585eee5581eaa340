package main

import "context"

// peer is a way to answer the queries. It may be asked by several goroutines at a time.
type peer interface {
	// load takes the corpus in: each batch of 1,000 is on the disk before the next one comes.
	load(ctx context.Context, c *corpus) error
	// settle brings into its best form what was loaded, and ends what still goes on in the background.
	settle(ctx context.Context) error
	// ask answers for a caller.
	ask(ctx context.Context, c *caller, q *task) (*answer, error)
	close() error
}

const batchSize = 1000

// open returns a new peer with its files in a folder.
type open func(dir string) (peer, error)

// peers are those there are: ours first.
func peers() []struct {
	name string
	open open
} {
	return []struct {
		name string
		open open
	}{
		{"onbehalf", openEngine},
		{"Bleve", openBleve},
		{"Bleve + our bitmap", openBleveBitmap},
		{"SQLite FTS5", openSQLite},
	}
}
