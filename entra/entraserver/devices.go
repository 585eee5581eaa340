package entraserver

// deviceFlows holds the device codes that wait for a person.
type deviceFlows struct{}

func newDeviceFlows() *deviceFlows { return &deviceFlows{} }

// codeStore holds authorization codes.
type codeStore struct{}

func newCodeStore() *codeStore { return &codeStore{} }

type policyBook struct{ resource ResourceMode }

func newPolicyBook(resource ResourceMode) *policyBook { return &policyBook{resource} }

func (s *Server) tokenRoutes() map[string]endpoint { return nil }
