// Package sample holds the five documents of the demonstration, and the index with permissions that they go into. The
// ids of the people and groups who may read them come from whoever uses it: the local Entra's, or those of a real
// tenant.
package sample

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"github.com/onbehalf/onbehalf/search"
)

// IndexName is what the sample index is called.
const IndexName = "document-permissions-push-idx"

// Everyone is the value of a permission field that opens a document to all (search-index-access-control-lists).
const Everyone = "all"

// Nobody is the value of a permission field through which nobody reads.
const Nobody = "none"

// Definition returns the index: names, content and two permission fields, which the model never gets to see.
//
// Many systems return their permission fields to the model. They hold nothing that helps an answer, and they tell every
// reader who else may read; so they are neither retrievable nor searchable here.
func Definition(name string) *search.Definition {
	yes, no := new(true), new(false)
	permission := func(field, kind string) search.Field {
		return search.Field{
			Name: field, Type: "Collection(Edm.String)", PermissionFilter: kind,
			Filterable: yes, Retrievable: no, Searchable: no, Sortable: no, Facetable: no,
		}
	}
	return &search.Definition{
		Name:                   name,
		PermissionFilterOption: search.PermissionsEnabled,
		Fields: []search.Field{
			{Name: "id", Type: "Edm.String", Key: true, Retrievable: yes, Searchable: no, Filterable: yes, Sortable: yes, Facetable: no},
			{Name: "name", Type: "Edm.String", Retrievable: yes, Searchable: yes, Filterable: yes, Sortable: yes, Facetable: no},
			{Name: "content", Type: "Edm.String", Retrievable: yes, Searchable: yes, Filterable: no, Sortable: no, Facetable: no},
			{Name: "section", Type: "Edm.String", Retrievable: yes, Searchable: no, Filterable: yes, Sortable: yes, Facetable: yes},
			{Name: "size", Type: "Edm.Int64", Retrievable: yes, Searchable: no, Filterable: yes, Sortable: yes, Facetable: yes},
			permission("oid", search.UserIDs),
			permission("group", search.GroupIDs),
		},
	}
}

// Document is a document of the sample schema. Oid and Group are object ids, or [Everyone], or [Nobody].
type Document struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Section string   `json:"section,omitempty"`
	Content string   `json:"content"`
	Size    int64    `json:"size"` // bytes of content
	Oid     []string `json:"oid"`
	Group   []string `json:"group"`
}

// Readers are the object ids that the five documents' permissions name.
type Readers struct {
	Alice, Engineering, Finance, Board string
}

//go:embed documents/*.md
var pages embed.FS

// Documents returns the five documents: the handbook for everyone, the review for Alice, the roadmap for engineering,
// the forecast for finance, the board's minutes for the board.
func Documents(readers Readers) ([]Document, error) {
	nobody := []string{Nobody}
	documents := []Document{
		{ID: "1", Name: "Handbook", Section: "people", Oid: []string{Everyone}, Group: nobody},
		{ID: "2", Name: "Review of Alice", Section: "people", Oid: []string{readers.Alice}, Group: nobody},
		{ID: "3", Name: "Roadmap", Section: "engineering", Oid: nobody, Group: []string{readers.Engineering}},
		{ID: "4", Name: "Forecast", Section: "finance", Oid: nobody, Group: []string{readers.Finance}},
		{ID: "5", Name: "Board minutes", Section: "board", Oid: nobody, Group: []string{readers.Board}},
	}
	for i := range documents {
		d := &documents[i]
		page := fmt.Sprintf("documents/%s-%s.md", d.ID, strings.ReplaceAll(strings.ToLower(d.Name), " ", "-"))
		content, err := fs.ReadFile(pages, page)
		if err != nil {
			return nil, fmt.Errorf("sample: %w", err)
		}
		_, body, _ := strings.Cut(string(content), "\n") // the heading repeats the name
		d.Content = strings.TrimSpace(body)
		d.Size = int64(len(d.Content))
	}
	return documents, nil
}

// Stream makes uploads of the documents, one after the other.
func Stream(documents []Document) iter.Seq2[search.Action, error] {
	return func(yield func(search.Action, error) bool) {
		for i := range documents {
			raw, err := json.Marshal(&documents[i])
			if err != nil {
				err = fmt.Errorf("document %s: %w", documents[i].ID, err)
			}
			if !yield(search.Action{Kind: search.Upload, Document: raw}, err) {
				return
			}
		}
	}
}

// Visible reports whether a person may read the document, by its permissions alone: the words of the documentation,
// kept apart from every implementation of the filter so that it can be held against them.
//
// https://learn.microsoft.com/azure/search/search-index-access-control-lists-and-rbac-push-api
func (d *Document) Visible(object string, groups []string) bool {
	return named(d.Oid, object) || named(d.Group, groups...)
}

func named(list []string, ids ...string) bool {
	for _, entry := range list {
		if entry == Everyone {
			return true
		}
		for _, id := range ids {
			if id != "" && entry != Nobody && strings.EqualFold(entry, id) {
				return true
			}
		}
	}
	return false
}
