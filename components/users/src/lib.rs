//! The component `users`: makes, changes and removes one user, with groups, authorized
//! keys and rights of sudo.
//!
//! A builder, and a tester that looks at the same things. A password is given as a hash
//! and goes to the machine as a secret; it is never an argument of a program. What is not
//! said about a user stays as it is.

use darkroom::{
    About, Builder, Description, Parameter, Step, Tester, component, inputs, report, shell,
};

struct Users;

/// Names that useradd takes everywhere.
const NAME: &str = "^[a-z_][a-z0-9_.-]{0,30}[a-z0-9_$-]?$";

impl About for Users {
    fn describe() -> Description {
        let path = |name, about| Parameter::text(name, about).pattern("^/[^:\\n]*$");
        Description::new("Makes, changes and removes a user, with groups, keys and sudo")
            .parameter(Parameter::text("name", "The user").required().pattern(NAME))
            .parameter(
                Parameter::flag(
                    "remove",
                    "The user must not be there, nor its rights of sudo",
                )
                .default(false),
            )
            .parameter(
                Parameter::flag("remove-home", "Remove the home of a removed user too")
                    .default(false),
            )
            .parameter(
                Parameter::integer("uid", "Its number")
                    .minimum(1)
                    .maximum(4_294_967_293),
            )
            .parameter(
                Parameter::text("group", "Its own group; by default one of its name").pattern(NAME),
            )
            .parameter(
                Parameter::texts("groups", "Groups that it is in too; missing ones are made")
                    .pattern(NAME),
            )
            .parameter(path("home", "Its home; by default what the system takes"))
            .parameter(path("shell", "Its shell; by default what the system takes"))
            .parameter(Parameter::text("comment", "Its full name").pattern("^[^:\\n]*$"))
            .parameter(
                Parameter::flag("system", "A user for a service: a low number, no home")
                    .default(false),
            )
            .parameter(
                Parameter::text(
                    "password-hash",
                    "The hash of its password as crypt(5) writes it, of `openssl passwd -6` \
                     or `mkpasswd`; without one a new user has no password to log in with",
                )
                .secret(),
            )
            .parameter(
                Parameter::flag(
                    "lock",
                    "Its password must not let anybody in; keys still do",
                )
                .default(false),
            )
            .parameter(
                Parameter::texts(
                    "authorized-keys",
                    "Public SSH keys that let people in as it",
                )
                .pattern("^[^\\n\\r]*[^\\s][^\\n\\r]*$"),
            )
            .parameter(
                Parameter::flag("only-these-keys", "Take away all other authorized keys")
                    .default(false),
            )
            .parameter(
                Parameter::text(
                    "sudo",
                    "What it may do with sudo, such as `ALL=(ALL:ALL) NOPASSWD: ALL`; an empty \
                     text takes away what an earlier use gave",
                )
                .pattern("^[^\\n\\r]*$"),
            )
            .family("linux")
    }
}

/// What both roles read.
struct Wanted {
    name: String,
    remove: bool,
    groups: Vec<String>,
    keys: Vec<String>,
    sudo: Option<String>,
    lock: bool,
    password: bool,
}

impl Wanted {
    fn read() -> Result<Self, String> {
        let name = inputs::text("name").ok_or("`name` is missing")?;
        let wanted = Self {
            remove: inputs::flag("remove") == Some(true),
            groups: inputs::texts("groups"),
            keys: inputs::texts("authorized-keys"),
            sudo: inputs::text("sudo").map(|rule| rule.trim().to_owned()),
            lock: inputs::flag("lock") == Some(true),
            password: inputs::text("password-hash").is_some_and(|hash| !hash.is_empty()),
            name,
        };
        if wanted.lock && wanted.password {
            return Err("a user with `lock` can't have a `password-hash` too".to_owned());
        }
        if wanted.remove && wanted.name == "root" {
            return Err("root can't be removed".to_owned());
        }
        Ok(wanted)
    }

    /// The environment that the scripts of both roles share.
    fn tell(&self, step: Step) -> Step {
        step.environment("NAME", &self.name)
            .environment("GROUPS_WANTED", self.groups.join("\n"))
            .environment("KEYS", self.keys.join("\n"))
            .environment("SUDO", self.sudo.clone().unwrap_or_default())
            .environment("USER_SHELL", inputs::text("shell").unwrap_or_default())
            .environment("USER_HOME", inputs::text("home").unwrap_or_default())
            .environment("OWN_GROUP", inputs::text("group").unwrap_or_default())
            .environment(
                "NUMBER",
                inputs::integer("uid")
                    .map(|uid| uid.to_string())
                    .unwrap_or_default(),
            )
    }
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

impl Builder for Users {
    fn build() -> Result<(), String> {
        let wanted = Wanted::read()?;
        let script = |verb: &str, body: &str| {
            let body = format!("{}{body}", include_str!("account.sh"));
            wanted.tell(change::script(change::named(verb, &wanted.name), &body))
        };
        let mut steps = Vec::new();
        if wanted.remove {
            let step = script("remove the user", include_str!("remove.sh"));
            let home = inputs::flag("remove-home") == Some(true);
            change::of(&[step.environment("REMOVE_HOME", yes(home))]);
            return Ok(());
        }
        let step = script("set up the user", include_str!("user.sh"))
            .environment("COMMENT", inputs::text("comment").unwrap_or_default())
            .environment("SYSTEM", yes(inputs::flag("system") == Some(true)))
            .environment("LOCK", yes(wanted.lock))
            .environment("HASH", inputs::text("password-hash").unwrap_or_default());
        steps.push(step);
        let only = inputs::flag("only-these-keys") == Some(true);
        if !wanted.keys.is_empty() || only {
            let step = script("set the keys of", include_str!("keys.sh"));
            steps.push(step.environment("ONLY", yes(only)));
        }
        if wanted.sudo.is_some() {
            steps.push(script("set the rights of sudo of", include_str!("sudo.sh")));
        }
        change::of(&steps);
        Ok(())
    }
}

impl Tester for Users {
    fn test() -> Result<(), String> {
        let wanted = Wanted::read()?;
        let name = &wanted.name;
        let case = |what: &str, aspect: &str, item: &str| {
            let text = format!("{}{}", include_str!("account.sh"), include_str!("test.sh"));
            let step = shell(change::named(name, what), text)
                .environment("ROOT", darkroom::machine::root().trim_end_matches('/'));
            let _: Step = wanted
                .tell(step)
                .environment("ASPECT", aspect)
                .environment("ITEM", item);
        };
        if wanted.remove {
            case("is not there", "absent", "");
            return Ok(());
        }
        case("is there", "present", "");
        for group in &wanted.groups {
            case(&format!("is in the group {group}"), "group", group);
        }
        if !wanted.keys.is_empty() {
            case("has its authorized keys", "keys", "");
        }
        if wanted.lock {
            case("can't log in with a password", "locked", "");
        }
        if wanted.password {
            case("has a password", "password", "");
        }
        if wanted.sudo.as_ref().is_some_and(|rule| !rule.is_empty()) {
            case("has its rights of sudo", "sudo", "");
        }
        for key in ["only-these-keys", "system"] {
            // Nothing of these can be seen afterwards.
            if inputs::flag(key) == Some(true) {
                report::debug(format!("{key} is not tested"));
            }
        }
        Ok(())
    }
}

component!(Users: builder, tester);

#[cfg(test)]
mod tests;
