package mcplink

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var chainID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// metaChain is where our servers name the chain of a call: see package onbehalf.
const metaChain = "onbehalf/chain"

// Chain returns the id of the call's chain: as the result or the error of the protocol tells it, or, where a server
// refused without either, as an error of the transport does by a method ChainID.
func Chain(result *mcp.CallToolResult, err error) string {
	id := ""
	if result != nil {
		id, _ = result.Meta[metaChain].(string)
	}
	if named, ok := errors.AsType[interface {
		error
		ChainID() string
	}](err); ok {
		id = named.ChainID()
	}
	if said := Said(err); said != nil && len(said.Data) > 0 {
		var data struct {
			Chain string `json:"chain"`
		}
		if json.Unmarshal(said.Data, &data) == nil {
			id = data.Chain
		}
	}
	if !chainID.MatchString(id) {
		return ""
	}
	return id
}

// LinksAsked makes a result of the error by which servers ask for links to be opened in protocols before 2026-07-28; nil
// for another error.
//
// https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation
func LinksAsked(err error) *mcp.CallToolResult {
	said := Said(err)
	if said == nil || said.Code != mcp.CodeURLElicitationRequired {
		return nil
	}
	var data struct {
		Elicitations []*mcp.ElicitParams `json:"elicitations"`
	}
	if json.Unmarshal(said.Data, &data) != nil {
		return nil
	}
	result := &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{}}
	for i, one := range data.Elicitations {
		if one != nil && strings.EqualFold(one.Mode, "url") {
			result.InputRequests[fmt.Sprintf("link%d", i)] = one
		}
	}
	return result
}
