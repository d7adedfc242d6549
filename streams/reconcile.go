package streams

import "slices"

// reconciling takes a member one step from what it has to its target.
type reconciling struct {
	m       *member
	target  Tasks
	epoch   int32  // of the target
	owned   *Tasks // what the member says that it has; nil when it does not say
	holders [roles]map[TaskID][]string

	kept, revoke, add Tasks
	waits             bool // for what others have
}

// next returns the member one step further. What it gives up comes first; then it is given what nobody else has. A task
// that it has in another role already, it does not give up for that.
func (r *reconciling) next() *member {
	switch {
	case r.m.state == unrevoked && r.notReleased(r.m.revoking):
		return r.m
	case r.m.state == unrevoked:
		return r.step(r.m.epoch + 1)
	case r.m.state == stable && r.m.epoch == r.epoch:
		return r.m
	}
	return r.step(r.m.epoch)
}

// step compares what the member has with the target. It keeps epoch while it gives up tasks.
func (r *reconciling) step(epoch int32) *member {
	r.compare()
	r.changeRoles()
	revokes := r.promote()
	next := *r.m
	next.previous = r.m.epoch
	if revokes {
		next.state, next.epoch, next.has, next.revoking = unrevoked, epoch, r.kept, r.revoke
	} else {
		r.kept.add(r.add)
		next.state, next.epoch, next.has, next.revoking = stable, r.epoch, r.kept, newTasks()
		if r.waits {
			next.state = unreleased
		}
	}
	if next.state == r.m.state && next.epoch == r.m.epoch && next.previous == r.m.previous && next.has.equal(r.m.has) && next.revoking.equal(r.m.revoking) {
		return r.m
	}
	return &next
}

// compare divides tasks, role by role, into what stays, what goes and what comes.
func (r *reconciling) compare() {
	r.kept, r.revoke, r.add = newTasks(), newTasks(), newTasks()
	for role := range roles {
		for t, given := range r.m.has[role] {
			if r.target[role].has(t) {
				r.kept[role][t] = given
			} else {
				r.revoke[role][t] = given
			}
		}
		for t := range r.target[role] {
			switch {
			case r.kept[role].has(t):
			case r.held(role, t):
				r.waits = true
			default:
				r.add[role][t] = r.epoch
			}
		}
	}
}

// held reports whether somebody has the task who keeps the member from having it in that role: an active task is with
// one member, and the members of one process share a disk, on which it is once.
func (r *reconciling) held(role Role, t TaskID) bool {
	if role == Active && len(r.holders[Active][t]) > 0 {
		return true
	}
	for other := range roles {
		own := r.m.has[other].has(t) && other != role && (role != Warmup || other != Active)
		if slices.Contains(r.holders[other][t], r.m.process) && !own {
			return true
		}
	}
	return false
}

// changeRoles gives the member at once what it has in another role that it is to give up: a task that was active becomes
// a standby when it has been closed, and a standby and a warm-up are the same.
func (r *reconciling) changeRoles() {
	for t := range r.m.has[Active] {
		r.grant(Standby, t)
	}
	for _, c := range [][2]Role{{Standby, Warmup}, {Warmup, Standby}} {
		for t := range r.m.has[c[0]] {
			if r.grant(c[1], t) {
				delete(r.revoke[c[0]], t)
			}
		}
	}
}

// grant gives a task that comes before those that go are gone.
func (r *reconciling) grant(role Role, t TaskID) bool {
	given, ok := r.add[role][t]
	if ok {
		delete(r.add[role], t)
		r.kept[role][t] = given
	}
	return ok
}

// promote leaves the member its copy of a task that it is to have active until it has that. It reports whether the
// member has to give up others first.
func (r *reconciling) promote() (revokes bool) {
	for _, role := range []Role{Standby, Warmup} {
		for t := range r.m.has[role] {
			if r.target[Active].has(t) {
				delete(r.revoke[role], t)
			}
		}
	}
	revokes = !r.revoke.empty() && r.notReleased(r.revoke)
	for _, role := range []Role{Standby, Warmup} {
		for t, given := range r.m.has[role] {
			if r.target[Active].has(t) && (revokes || !r.add[Active].has(t)) {
				r.kept[role][t] = given
			}
		}
	}
	return revokes
}

// notReleased reports whether the member may still have one of tasks.
func (r *reconciling) notReleased(tasks Tasks) bool { return r.owned == nil || r.owned.meets(tasks) }
