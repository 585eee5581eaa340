package searchclient

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/onbehalf/onbehalf/search"
)

// Pages asks for one page after the other, each with the same user's rights, checked anew by the service. It ends with
// the last page or the first error. A nil query matches everything.
func Pages(ctx context.Context, in search.Index, u search.User, q *search.Query) iter.Seq2[*search.Result, error] {
	return func(yield func(*search.Result, error) bool) {
		for next, first := q, true; first || next != nil; first = false {
			result, err := in.Search(ctx, u, next)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(result, nil) {
				return
			}
			next = result.Next
		}
	}
}

// Documents decodes the documents of all pages into values of type T, one after the other. It ends with the last
// document or the first error.
func Documents[T any](ctx context.Context, in search.Index, u search.User, q *search.Query) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for page, err := range Pages(ctx, in, u, q) {
			if err != nil {
				yield(none, err)
				return
			}
			for i := range page.Hits {
				document, err := Decode[T](page.Hits[i].Document)
				if !yield(document, err) || err != nil {
					return
				}
			}
		}
	}
}

// Decode turns a document into a T by the rules of [json.Unmarshal].
func Decode[T any](document search.Document) (T, error) {
	var value T
	if err := json.Unmarshal(document, &value); err != nil {
		var none T
		return none, fmt.Errorf("search client: a document does not fit %T: %w", value, err)
	}
	return value, nil
}
