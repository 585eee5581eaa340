package web

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/history"
	"github.com/onbehalf/onbehalf/signin"
)

// slow is a loop that ends when it is told to.
type slow struct{ begun, end chan struct{} }

func (l slow) Run(_ context.Context, _ agent.Person, c *dialog.Conversation, _ func(agent.Event)) error {
	l.begun <- struct{}{}
	<-l.end
	for i := range c.Messages[0].Calls {
		if call := &c.Messages[0].Calls[i]; call.State == dialog.Approved {
			call.State = dialog.Succeeded
		}
	}
	return nil
}

func (slow) Repeat(context.Context, agent.Person, dialog.Call, bool) (dialog.Call, error) {
	return dialog.Call{}, errors.New("not in this test")
}

func (slow) Tools(context.Context, agent.Person) ([]agent.Tool, []agent.Problem, error) {
	return nil, nil, errors.New("not in this test")
}
func (slow) Forget(string) {}
func (slow) Close()        {}

// waiting makes an agent, and a conversation of alice in which two calls wait.
func waiting(t *testing.T) (*App, slow, *talk, func() *session) {
	t.Helper()
	tenant, err1 := identity.ParseTenantID("c0de7e4a-0000-4000-8000-000000000001")
	object, err2 := identity.ParseObjectID("a11ce000-0000-4000-8000-00000000000a")
	scope, err3 := entra.NewScope("api://x", "execute")
	loop := slow{make(chan struct{}, 9), make(chan struct{})}
	a, err4 := New(Config{
		URL: &url.URL{Scheme: "http", Host: "localhost:8080"}, SignIn: new(signin.Hosted), Scope: scope, Authority: "https://login.example/",
		Servers: []Server{{Name: "docs", URL: &url.URL{Scheme: "http", Host: "localhost:8000", Path: "/mcp"}}}, Agent: loop,
	})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	alice := signin.Person{Tenant: tenant, Object: object}
	asking := func(id string) dialog.Call {
		return dialog.Call{ID: id, Server: "docs", Tool: "get", State: dialog.Asking}
	}
	body, err := pack(&dialog.Conversation{Messages: []dialog.Message{
		{ID: "m", Role: dialog.Assistant, State: dialog.Waiting, Calls: []dialog.Call{asking("one"), asking("two")}},
	}}, nil, false)
	owner := history.Person{Tenant: tenant, Object: object}
	if err == nil {
		err = a.cfg.History.Save(owner, history.Item{ID: "0123456789", Title: "t"}, body)
	}
	if err != nil {
		t.Fatal(err)
	}
	conversation, err := a.desk.open(owner, "0123456789")
	if err != nil {
		t.Fatal(err)
	}
	return a, loop, conversation, func() *session {
		return a.sessions.open(httptest.NewRecorder(), &signin.Session{Person: alice}, chain.Hop{}, nil)
	}
}

// A request that was under way when its person signed out begins nothing.
func TestNothingBeginsAfterTheSignOut(t *testing.T) {
	a, loop, conversation, signIn := waiting(t)
	s := signIn()
	a.leave(s)
	if err := conversation.decide(move{s, "one", dialog.Allow}); err == nil {
		t.Error("a call runs as who has signed out")
	}
	if _, err := conversation.ask(s, "More?"); err == nil || len(loop.begun) != 0 {
		t.Errorf("a question is answered to who has signed out: %v", err)
	}
}

// What was allowed in one browser while a turn of another ran is not done when that one has signed out meanwhile.
func TestWhatWaitedIsNotDoneAfterTheSignOut(t *testing.T) {
	a, loop, conversation, signIn := waiting(t)
	here, there := signIn(), signIn()
	if err := conversation.decide(move{here, "one", dialog.Allow}); err != nil {
		t.Fatal(err)
	}
	<-loop.begun
	if err := conversation.decide(move{there, "two", dialog.Allow}); err != nil {
		t.Fatal(err)
	}
	a.leave(there)
	close(loop.end)
	a.desk.work.Wait()
	conversation.mu.Lock()
	defer conversation.mu.Unlock()
	if got := conversation.conv.Messages[0].Calls; got[0].State != dialog.Succeeded || got[1].State != dialog.Asking || len(loop.begun) != 0 {
		t.Errorf("got %s and %s", got[0].State, got[1].State)
	}
}

// What is deleted stays so for another window that opened it at the same moment.
func TestWhatIsDeletedIsNotWrittenBack(t *testing.T) {
	for _, all := range []bool{false, true} {
		a, loop, conversation, signIn := waiting(t)
		close(loop.end)
		owner, id := conversation.owner, conversation.id
		a.desk.release(conversation)
		var opened *talk
		a.cfg.History = meanwhile{a.cfg.History, func() {
			if opened == nil {
				opened, _ = a.desk.open(owner, id)
			}
		}}
		var err error
		if all {
			err = a.desk.removeAll(owner)
		} else {
			err = a.desk.remove(owner, id)
		}
		if err != nil {
			t.Fatal(err)
		}
		if opened != nil {
			if _, err = opened.ask(signIn(), "Still there?"); err == nil {
				t.Errorf("all %t: what was deleted is asked", all)
			}
		}
		a.desk.work.Wait()
		if items, err := a.cfg.History.List(owner); err != nil || len(items) != 0 {
			t.Errorf("all %t: what was deleted is kept: %v, %v", all, items, err)
		}
	}
}

// meanwhile is a history during whose deletions something happens.
type meanwhile struct {
	history.Store
	happens func()
}

func (m meanwhile) Delete(p history.Person, id string) error {
	m.happens()
	return m.Store.Delete(p, id)
}

func (m meanwhile) Clear(p history.Person) (int, error) {
	m.happens()
	return m.Store.Clear(p)
}
