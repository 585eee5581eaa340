//go:build conformance

//nolint:staticcheck // the suite asks for features that the newest protocol deprecates
package mcp_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What follows are the tools, resources and prompts that the conformance suite asks a server for, by name and content.

type (
	call   = mcp.CallToolRequest
	answer = mcp.CallToolResult
)

var (
	image = must(base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="))
	audio = must(base64.StdEncoding.DecodeString("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="))
)

func text(format string, args ...any) *mcp.TextContent {
	return &mcp.TextContent{Text: fmt.Sprintf(format, args...)}
}

func says(content ...mcp.Content) *answer { return &answer{Content: content} }

func embedded(uri, text string) *mcp.EmbeddedResource {
	return &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: uri, MIMEType: "text/plain", Text: text}}
}

// tool adds a tool without typed input.
func tool(s *mcp.Server, name string, run func(ctx context.Context, req *call) (*answer, error)) {
	mcp.AddTool(s, &mcp.Tool{Name: name, Description: "A fixture of the conformance suite"}, func(ctx context.Context, req *call, _ any) (*answer, any, error) {
		result, err := run(ctx, req)
		return result, nil, err
	})
}

func addFixtures(s *mcp.Server) {
	addContent(s)
	addNotifications(s)
	addServerRequests(s)
	addSchemas(s)
	addInputRequired(s)
	addResources(s)
	addPrompts(s)
}

// withLogging also offers log messages, which are gone from 2026-07-28 on.
func withLogging(o *mcp.ServerOptions) {
	withoutLogging(o)
	o.Capabilities.Logging = &mcp.LoggingCapabilities{}
}

// withoutLogging adds the handlers that fixtures need to the options.
func withoutLogging(o *mcp.ServerOptions) {
	o.CompletionHandler = func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
		return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{}}}, nil
	}
	o.SubscribeHandler = func(context.Context, *mcp.SubscribeRequest) error { return nil }
	o.UnsubscribeHandler = func(context.Context, *mcp.UnsubscribeRequest) error { return nil }
}

func addContent(s *mcp.Server) {
	for name, content := range map[string][]mcp.Content{
		"test_simple_text":       {text("This is a simple text response for testing.")},
		"test_image_content":     {&mcp.ImageContent{Data: image, MIMEType: "image/png"}},
		"test_audio_content":     {&mcp.AudioContent{Data: audio, MIMEType: "audio/wav"}},
		"test_embedded_resource": {embedded("test://embedded-resource", "This is an embedded resource content.")},
		"test_multiple_content_types": {
			text("Multiple content types test:"), &mcp.ImageContent{Data: image, MIMEType: "image/png"},
			embedded("test://mixed-content-resource", "This is an embedded resource content."),
		},
		"test_streaming_elicitation": {text("results only")},
	} {
		tool(s, name, func(context.Context, *call) (*answer, error) { return says(content...), nil })
	}
	tool(s, "test_error_handling", func(context.Context, *call) (*answer, error) {
		return nil, errors.New("This tool intentionally returns an error for testing")
	})
}

func addNotifications(s *mcp.Server) {
	log := func(ctx context.Context, req *call, data string) {
		_ = req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Data: data})
	}
	tool(s, "test_tool_with_logging", func(ctx context.Context, req *call) (*answer, error) {
		for _, data := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			log(ctx, req, data)
			time.Sleep(50 * time.Millisecond)
		}
		return says(text("logged")), nil
	})
	tool(s, "test_logging_tool", func(ctx context.Context, req *call) (*answer, error) {
		log(ctx, req, "test_logging_tool executed")
		return says(text("logged")), nil
	})
	tool(s, "test_tool_with_progress", func(ctx context.Context, req *call) (*answer, error) {
		token := req.Params.GetProgressToken()
		for _, done := range []float64{0, 50, 100} {
			_ = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: done, Total: 100})
			time.Sleep(50 * time.Millisecond)
		}
		return says(text("%v", token)), nil
	})
	tool(s, "test_trigger_tool_change", func(context.Context, *call) (*answer, error) {
		tool(s, "test_transient", func(context.Context, *call) (*answer, error) { return says(), nil })
		return says(text("changed")), nil
	})
	tool(s, "test_trigger_prompt_change", func(context.Context, *call) (*answer, error) {
		s.AddPrompt(&mcp.Prompt{Name: "test_transient", Description: "A fixture of the conformance suite"}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{}, nil
		})
		return says(text("changed")), nil
	})
	tool(s, "test_reconnection", func(_ context.Context, req *call) (*answer, error) {
		if req.Extra.CloseSSEStream != nil {
			req.Extra.CloseSSEStream(mcp.CloseSSEStreamArgs{RetryAfter: 10 * time.Millisecond})
		}
		time.Sleep(100 * time.Millisecond)
		return says(text("reconnected")), nil
	})
}

// addServerRequests adds tools that ask the client for something: no server without sessions can.
func addServerRequests(s *mcp.Server) {
	elicit := func(name string, schema any) {
		tool(s, name, func(ctx context.Context, req *call) (*answer, error) {
			result, err := req.Session.Elicit(ctx, &mcp.ElicitParams{Message: "Please answer", RequestedSchema: schema})
			if err != nil {
				return nil, err
			}
			return says(text("action=%s content=%v", result.Action, result.Content)), nil
		})
	}
	elicit("test_elicitation", object("username"))
	elicit("test_elicitation_sep1034_defaults", json.RawMessage(`{"type":"object","properties":{"name":{"type":"string","default":"John Doe"},"age":{"type":"integer","default":30},"score":{"type":"number","default":95.5},"status":{"type":"string","enum":["active","inactive","pending"],"default":"active"},"verified":{"type":"boolean","default":true}}}`))
	elicit("test_elicitation_sep1330_enums", json.RawMessage(`{"type":"object","properties":{"untitledSingle":{"type":"string","enum":["option1","option2","option3"]}}}`))
	tool(s, "test_sampling", func(ctx context.Context, req *call) (*answer, error) {
		result, err := req.Session.CreateMessage(ctx, &mcp.CreateMessageParams{MaxTokens: 100, Messages: []*mcp.SamplingMessage{{Role: "user", Content: text("Hello")}}})
		if err != nil {
			return nil, err
		}
		return says(result.Content), nil
	})
	tool(s, "test_missing_capability", func(_ context.Context, req *call) (*answer, error) {
		if can := req.ClientCapabilities(); can != nil && can.Sampling != nil {
			return says(text("the client can sample")), nil
		}
		data := must(json.Marshal(mcp.MissingRequiredClientCapabilityData{RequiredCapabilities: &mcp.ClientCapabilities{Sampling: &mcp.SamplingCapabilities{}}}))
		return nil, &jsonrpc.Error{Code: mcp.CodeMissingRequiredClientCapabilities, Message: "the client must be able to sample", Data: data}
	})
}

func object(property string) *jsonschema.Schema {
	kind := "string"
	if property == "ok" {
		kind = "boolean"
	}
	return &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{property: {Type: kind}}, Required: []string{property}}
}

func addSchemas(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{
		Name: "json_schema_2020_12_tool", Description: "A fixture of the conformance suite",
		InputSchema: json.RawMessage(`{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
			"$defs":{"address":{"$anchor":"addressDef","type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}}},
			"properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"contactMethod":{"type":"string","enum":["phone","email"]},"phone":{"type":"string"},"email":{"type":"string"}},
			"allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],
			"if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"then":{"required":["phone"]},"else":{"required":["email"]},
			"additionalProperties":false}`),
	}, func(context.Context, *call, json.RawMessage) (*answer, any, error) {
		return says(text("called")), nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{
		Name: "test_x_mcp_header", Description: "A fixture of the conformance suite",
		InputSchema: json.RawMessage(`{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"level":{"type":"integer"}}}`),
	}, func(context.Context, *call, json.RawMessage) (*answer, any, error) {
		return says(text("called")), nil, nil
	})
}

// accepted returns what a person answered, nil when nobody did.
func accepted(responses mcp.InputResponseMap, key string) map[string]any {
	if result, ok := responses[key].(*mcp.ElicitResult); ok && result != nil && result.Action == "accept" {
		return result.Content
	}
	return nil
}

// sampled returns what a model answered.
func sampled(responses mcp.InputResponseMap, key string) (string, bool) {
	result, ok := responses[key].(*mcp.CreateMessageWithToolsResult)
	if !ok || result == nil {
		return "", false
	}
	for _, content := range result.Content {
		if t, isText := content.(*mcp.TextContent); isText {
			return t.Text, true
		}
	}
	return "", true
}

func ask(property string) *mcp.ElicitParams {
	return &mcp.ElicitParams{Message: "Please say your " + property, RequestedSchema: object(property)}
}

func askModel() *mcp.CreateMessageParams {
	return &mcp.CreateMessageParams{MaxTokens: 50, Messages: []*mcp.SamplingMessage{{Role: "user", Content: text("What is the capital of France?")}}}
}

func needs(state string, requests mcp.InputRequestMap) *answer {
	return &answer{InputRequests: requests, RequestState: state}
}

var errState = &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the request state was changed"}

// addInputRequired adds the tools that ask back within their result (SEP-2322).
func addInputRequired(s *mcp.Server) {
	const prefix = "test_input_required_result_"
	tool(s, prefix+"elicitation", func(_ context.Context, req *call) (*answer, error) {
		if name, _ := accepted(req.Params.InputResponses, "user_name")["name"].(string); name != "" {
			return says(text("Hello, %s!", name)), nil
		}
		return needs("", mcp.InputRequestMap{"user_name": ask("name")}), nil
	})
	tool(s, prefix+"sampling", func(_ context.Context, req *call) (*answer, error) {
		if said, ok := sampled(req.Params.InputResponses, "capital_question"); ok {
			return says(text("%s", said)), nil
		}
		return needs("", mcp.InputRequestMap{"capital_question": askModel()}), nil
	})
	tool(s, prefix+"list_roots", func(_ context.Context, req *call) (*answer, error) {
		if roots, ok := req.Params.InputResponses["client_roots"].(*mcp.ListRootsResult); ok && roots != nil {
			return says(text("%d roots", len(roots.Roots))), nil
		}
		return needs("", mcp.InputRequestMap{"client_roots": &mcp.ListRootsParams{}}), nil
	})
	tool(s, prefix+"multiple_inputs", func(_ context.Context, req *call) (*answer, error) {
		responses := req.Params.InputResponses
		name := accepted(responses, "user_name")
		greeting, greeted := sampled(responses, "greeting")
		roots, listed := responses["client_roots"].(*mcp.ListRootsResult)
		if name != nil && greeted && listed {
			return says(text("%s %v, %d roots", greeting, name["name"], len(roots.Roots))), nil
		}
		return needs("multiple", mcp.InputRequestMap{"user_name": ask("name"), "greeting": askModel(), "client_roots": &mcp.ListRootsParams{}}), nil
	})
	for _, name := range []string{"request_state", "tampered_state"} {
		tool(s, prefix+name, func(_ context.Context, req *call) (*answer, error) {
			state := req.Params.RequestState
			if state != "" && state != name {
				return nil, errState
			}
			if accepted(req.Params.InputResponses, "confirm") != nil && state == name {
				return says(text("state-ok")), nil
			}
			return needs(name, mcp.InputRequestMap{"confirm": ask("ok")}), nil
		})
	}
	tool(s, prefix+"multi_round", func(_ context.Context, req *call) (*answer, error) {
		switch state := req.Params.RequestState; state {
		case "":
			return needs("round=1", mcp.InputRequestMap{"step1": ask("name")}), nil
		case "round=1":
			return needs(fmt.Sprintf("round=2;%v", accepted(req.Params.InputResponses, "step1")["name"]), mcp.InputRequestMap{"step2": ask("color")}), nil
		default:
			return says(text("%s likes %v", strings.TrimPrefix(state, "round=2;"), accepted(req.Params.InputResponses, "step2")["color"])), nil
		}
	})
	tool(s, prefix+"capabilities", func(_ context.Context, req *call) (*answer, error) {
		can, requests := req.ClientCapabilities(), mcp.InputRequestMap{}
		switch {
		case len(req.Params.InputResponses) > 0:
			return says(text("thanks")), nil
		case can != nil && can.Elicitation != nil:
			requests["user_name"] = ask("name")
		}
		if can != nil && can.Sampling != nil {
			requests["greeting"] = askModel()
		}
		if len(requests) == 0 {
			return says(text("nothing can be asked")), nil
		}
		return needs("", requests), nil
	})
}

func addResources(s *mcp.Server) {
	read := func(contents func(uri string) *mcp.ResourceContents) mcp.ResourceHandler {
		return func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{contents(req.Params.URI)}}, nil
		}
	}
	plain := read(func(uri string) *mcp.ResourceContents {
		return &mcp.ResourceContents{URI: uri, MIMEType: "text/plain", Text: "This is the content of the static text resource."}
	})
	s.AddResource(&mcp.Resource{Name: "static-text", URI: "test://static-text", MIMEType: "text/plain"}, plain)
	s.AddResource(&mcp.Resource{Name: "watched-resource", URI: "test://watched-resource", MIMEType: "text/plain"}, plain)
	s.AddResource(&mcp.Resource{Name: "static-binary", URI: "test://static-binary", MIMEType: "image/png"}, read(func(uri string) *mcp.ResourceContents {
		return &mcp.ResourceContents{URI: uri, MIMEType: "image/png", Blob: image}
	}))
	s.AddResourceTemplate(&mcp.ResourceTemplate{Name: "template", URITemplate: "test://template/{id}/data", MIMEType: "application/json"}, read(func(uri string) *mcp.ResourceContents {
		id := strings.TrimSuffix(strings.TrimPrefix(uri, "test://template/"), "/data")
		return &mcp.ResourceContents{URI: uri, MIMEType: "application/json", Text: fmt.Sprintf(`{"id":%q,"templateTest":true,"data":"Data for ID: %s"}`, id, id)}
	}))
}

func addPrompts(s *mcp.Server) {
	prompt := func(name string, arguments []string, contents func(args map[string]string) []mcp.Content) {
		p := &mcp.Prompt{Name: name, Description: "A fixture of the conformance suite"}
		for _, argument := range arguments {
			p.Arguments = append(p.Arguments, &mcp.PromptArgument{Name: argument, Required: true})
		}
		s.AddPrompt(p, func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			result := &mcp.GetPromptResult{}
			for _, content := range contents(req.Params.Arguments) {
				result.Messages = append(result.Messages, &mcp.PromptMessage{Role: "user", Content: content})
			}
			return result, nil
		})
	}
	prompt("test_simple_prompt", nil, func(map[string]string) []mcp.Content {
		return []mcp.Content{text("This is a simple prompt for testing.")}
	})
	prompt("test_prompt_with_arguments", []string{"arg1", "arg2"}, func(args map[string]string) []mcp.Content {
		return []mcp.Content{text("Prompt with arguments: arg1='%s', arg2='%s'", args["arg1"], args["arg2"])}
	})
	prompt("test_prompt_with_embedded_resource", []string{"resourceUri"}, func(args map[string]string) []mcp.Content {
		return []mcp.Content{embedded(args["resourceUri"], "Embedded resource content for testing."), text("Please process the embedded resource above.")}
	})
	prompt("test_prompt_with_image", nil, func(map[string]string) []mcp.Content {
		return []mcp.Content{&mcp.ImageContent{Data: image, MIMEType: "image/png"}, text("Please analyze the image above.")}
	})
	s.AddPrompt(&mcp.Prompt{Name: "test_input_required_result_prompt", Description: "A fixture of the conformance suite"}, func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		if said := accepted(req.Params.InputResponses, "user_context"); said != nil {
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: text("Context: %v", said["context"])}}}, nil
		}
		return &mcp.GetPromptResult{InputRequests: mcp.InputRequestMap{"user_context": ask("context")}}, nil
	})
}
