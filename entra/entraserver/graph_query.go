package entraserver

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// graphQuery is the query of a request: $select, $filter, $top, $count and the place to go on from.
//
// https://learn.microsoft.com/graph/query-parameters
type graphQuery struct {
	selected []string
	filter   graphFilter
	top      int
	count    bool
	skip     int
	raw      url.Values
}

// Page sizes of Graph's directory objects.
const (
	defaultPage = 100
	maxPage     = 999
)

func parseGraphQuery(raw string) (graphQuery, error) {
	q := graphQuery{top: defaultPage}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, errGraphQuery("The query is malformed.")
	}
	q.raw = values
	for name, all := range values {
		if len(all) != 1 {
			return q, errGraphQuery(fmt.Sprintf("Query option '%s' was specified more than once, but it must be specified at most once.", name))
		}
		if err := q.set(name, all[0]); err != nil {
			return q, err
		}
	}
	return q, nil
}

func (q *graphQuery) set(name, value string) (err error) {
	switch strings.TrimPrefix(strings.ToLower(name), "$") {
	case "select":
		for property := range strings.SplitSeq(value, ",") {
			if property = strings.TrimSpace(property); property != "" {
				q.selected = append(q.selected, property)
			}
		}
	case "filter":
		q.filter, err = parseGraphFilter(value)
	case "top":
		q.top, err = strconv.Atoi(value)
		if err != nil || q.top < 1 || q.top > maxPage {
			return errGraphBad(fmt.Sprintf("Invalid page size specified: '%s'. Must be between 1 and %d inclusive.", clipText(value, 20), maxPage))
		}
	case "count":
		if value != "true" && value != "false" {
			return errGraphQuery("Invalid value for $count: true or false.")
		}
		q.count = value == "true"
	case "skiptoken":
		text, decodeErr := base64.RawURLEncoding.DecodeString(value)
		q.skip, err = strconv.Atoi(string(text))
		if decodeErr != nil || err != nil || q.skip < 0 {
			return &graphError{400, "Directory_ExpiredPageToken", "The specified page token value is not valid."}
		}
	default:
		return errGraphQuery("The local Microsoft Graph has no query option '" + clipText(name, 40) + "'.")
	}
	return err
}

func clipText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// one renders a single object with its context.
func (c *graphCall) one(entity string, properties map[string]any) (any, error) {
	shown := c.query.shown(properties)
	shown["@odata.context"] = c.context() + entity + "/$entity"
	return shown, nil
}

// list filters, counts, pages and renders a collection; each object appears with $select's properties.
func (c *graphCall) list(entity string, objects []map[string]any) (any, error) {
	matching := make([]map[string]any, 0, len(objects))
	for _, properties := range objects {
		ok, err := c.query.filter.matches(properties)
		if err != nil {
			return nil, err
		}
		if ok {
			matching = append(matching, properties)
		}
	}
	from := min(c.query.skip, len(matching))
	to := min(from+c.query.top, len(matching))
	value := make([]map[string]any, 0, to-from)
	for _, properties := range matching[from:to] {
		value = append(value, c.query.shown(properties))
	}
	answer := map[string]any{"@odata.context": c.context() + entity, "value": value}
	if c.query.count {
		answer["@odata.count"] = len(matching)
	}
	if to < len(matching) {
		answer["@odata.nextLink"] = c.next(to)
	}
	return answer, nil
}

// next is the link to the page that begins at an offset.
func (c *graphCall) next(offset int) string {
	query := url.Values{}
	for name, all := range c.query.raw {
		if !strings.EqualFold(strings.TrimPrefix(name, "$"), "skiptoken") {
			query[name] = all
		}
	}
	query.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(offset))))
	return c.base(c.r) + c.r.URL.EscapedPath() + "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
}

func (c *graphCall) context() string { return c.base(c.r) + graphPrefix + "$metadata#" }

// shown returns the properties that $select asks for, all without it. The type annotation of a mixed list stays.
func (q *graphQuery) shown(properties map[string]any) map[string]any {
	if len(q.selected) == 0 {
		return properties
	}
	out := map[string]any{}
	for name, value := range properties {
		wanted := slices.ContainsFunc(q.selected, func(s string) bool { return strings.EqualFold(s, name) })
		if wanted || name == "@odata.type" {
			out[name] = value
		}
	}
	return out
}

// asProperties gives an object the form it has on the wire.
func asProperties(object any) (map[string]any, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("graph object: %w", err)
	}
	var properties map[string]any
	if err := json.Unmarshal(text, &properties); err != nil {
		return nil, fmt.Errorf("graph object: %w", err)
	}
	return properties, nil
}
