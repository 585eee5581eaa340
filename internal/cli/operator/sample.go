package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/provision/acl"
	"github.com/onbehalf/onbehalf/internal/provision/corpus"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/search"
)

// sample are the five documents, of which the person who is signed in may read three: the one for everyone, the one for
// her, and the one for a group of hers. The other two are for nobody here.
func (p *push) sample(ctx context.Context) (corpus.Source, error) {
	account, err := p.o.account(ctx, p.flags.account)
	if err != nil {
		return nil, err
	}
	caller, err := p.delegated.caller(ctx, p.o.people, account)
	if err != nil {
		return nil, err
	}
	group := sample.Nobody
	me, err := p.delegated.myGraph(ctx, caller)
	if err == nil {
		var groups []string
		if groups, err = me.MyGroups(ctx); err == nil && len(groups) > 0 {
			group = groups[0]
		}
	}
	switch {
	case err != nil:
		reason := err.Error()
		if refusal, ok := errors.AsType[*obo.Refusal](err); ok {
			reason = refusal.Say()
		}
		p.warn(fmt.Sprintf("the groups of %s are not known, so nobody may read the document for a group (onbehalf setup entra apply --read-groups lets Graph be asked): %s", account.Name, reason))
	case group == sample.Nobody:
		p.warn(account.Name + " is in no group, so nobody may read the document for a group")
	default:
		fmt.Fprintf(p.Err, "for %s and the group %s\n", shell.Printable(account.Name), group)
	}
	documents, err := sample.Documents(sample.Readers{Alice: caller.Object.String(), Engineering: group, Finance: sample.Nobody, Board: sample.Nobody})
	if err != nil {
		return nil, err
	}
	raw := make([]search.Document, len(documents))
	for i := range documents {
		if documents[i].ID == "2" {
			documents[i].Name = "Review of " + caller.Name
		}
		if raw[i], err = rawDocument(&documents[i]); err != nil {
			return nil, err
		}
	}
	return corpus.Memory("the sample", raw), nil
}

// besideOthers asks before the sample goes into an index that holds anything else: its keys are 1 to 5, and documents of
// these keys would be overwritten.
func (p *push) besideOthers(ctx context.Context) error {
	if p.flags.yes {
		return nil
	}
	what, err := p.others(ctx)
	if err != nil || what == "" {
		return err
	}
	err = p.Confirm(ctx, fmt.Sprintf("The index %s holds %s. The sample would stand among them, and overwrite those with the keys 1 to 5. Upload it?", p.o.index, what))
	if errors.Is(err, shell.ErrNobody) {
		err = shell.Usage(shell.Hint(fmt.Errorf("the index %s holds %s, and the sample would overwrite those with the keys 1 to 5: nothing was uploaded: %w", p.o.index, what, err),
			"--index names another; --yes uploads it all the same"))
	}
	return err
}

// others says what an index holds beside the sample, "" for nothing.
func (p *push) others(ctx context.Context) (string, error) {
	documents, err := sample.Documents(sample.Readers{})
	if err != nil {
		return "", err
	}
	result, err := p.service.Index(p.o.index).Search(ctx, acl.Everything(), &search.Query{Select: []string{"id", "content"}, Top: new(len(documents) + 1), Count: true})
	switch {
	case errors.Is(err, search.ErrForbidden), errors.Is(err, search.ErrBadRequest):
		return "documents that could not be looked at", nil // somebody is asked
	case err != nil:
		return "", p.o.explain(err)
	}
	content := map[string]string{}
	for _, d := range documents {
		content[d.ID] = d.Content
	}
	others := 0
	for _, hit := range result.Hits {
		var found sample.Document
		if err := json.Unmarshal(hit.Document, &found); err != nil {
			return "", fmt.Errorf("the answer of the search service: %w", err)
		}
		if own, ok := content[found.ID]; !ok || own != found.Content {
			others++
		}
	}
	count := int64(len(result.Hits))
	if result.Count != nil {
		count = max(count, *result.Count)
	}
	switch {
	case count > int64(len(documents)):
		return fmt.Sprintf("%d documents that are not the sample alone", count), nil
	case others > 0:
		return fmt.Sprintf("%d documents that are not the sample's", others), nil
	}
	return "", nil
}
