//! Rules between settings: what excludes, needs or repeats what.

use super::*;
use crate::admin::Tokens;

#[test]
fn what_later_versions_bring_is_refused_and_said_to_be_later() {
    let later = "not available in this version";
    check(
        &with("[source]", "kind = \"cluster\""),
        "source.kind",
        later,
    );
    check(
        &with("[link]", "driver = \"builtin\""),
        "link.driver",
        later,
    );
    check(
        &format!("{LEAST}[fleet]\nname = \"orders\"\n"),
        "fleet",
        later,
    );
}

#[test]
fn listeners_differ_in_name_and_address() {
    let second = |more: &str| format!("{LEAST}[[listener]]\n{more}\n");
    check(
        &second("bind = \"127.0.0.1:6380\"\nname = \"b\""),
        "listener[1].bind",
        "listener[0]",
    );
    check(
        &second("bind = \"0.0.0.0:6380\""),
        "listener[1].bind",
        "listener[0]",
    );
    check(
        &second("bind = \"127.0.0.1:6381\"\nname = \"127.0.0.1:6380\""),
        "listener[1].name",
        "listener[0]",
    );
    check(
        &with("[admin]", "bind = \"127.0.0.1:6380\""),
        "listener[0].bind",
        "[admin]",
    );
    accepted(&second("bind = \"127.0.0.1:6381\""));
}

#[test]
fn the_target_is_not_the_source_and_neither_is_the_proxy() {
    let target = |url: &str| LEAST.replace("redis://target:6379", url);
    check(
        &target("redis://source"),
        "target.url",
        "must not be the source",
    );
    check(
        &target("redis://:hunter2@SOURCE:6379/1"),
        "target.url",
        "must not be the source",
    );
    check(
        &target("redis://127.0.0.1:6380"),
        "listener[0].bind",
        "[target]",
    );
    check(
        &target("redis://localhost:6380"),
        "listener[0].bind",
        "[target]",
    );
    accepted(&target("redis://source:6380"));
}

#[test]
fn an_admin_address_that_others_reach_needs_a_token() {
    check(
        &with("[admin]", "bind = \"0.0.0.0:9600\""),
        "admin.token_file",
        "0.0.0.0:9600",
    );
    check(
        &with("[admin]", "bind = \"[2001:db8::1]:9600\""),
        "admin.token_file",
        "token",
    );
    accepted(&with("[admin]", "bind = \"[::1]:9600\""));
    accepted(&with("[admin]", "bind = \"unix:/run/admin.sock\""));
}

#[test]
fn a_token_to_look_with_is_another_one_than_that_to_act_with() {
    let (_one, acting) = file_with("act");
    let (_other, reading) = file_with("read");
    let tokens = |more: &str| with("[admin]", more);
    check(
        &tokens(&format!("read_token_file = {reading:?}")),
        "admin.token_file",
        "is missing",
    );
    check(
        &tokens(&format!(
            "read_token_file = {acting:?}\ntoken_file = {acting:?}"
        )),
        "admin.read_token_file",
        "another token",
    );
    let settings = accepted(&tokens(&format!(
        "read_token_file = {reading:?}\ntoken_file = {acting:?}"
    )));
    assert!(matches!(settings.admin.tokens, Tokens::Both { .. }));
    for wrong in ["[\"a:1\"]", "[\"\"]", "\"a\"", "[1]"] {
        check(
            &tokens(&format!("hosts = {wrong}")),
            "admin.hosts",
            "names without ports",
        );
    }
}

#[test]
fn a_setting_without_effect_is_refused() {
    check(
        &with("[[listener]]", "mode = \"0600\""),
        "listener[0].mode",
        "only unix sockets",
    );
    check(
        &with("[[listener]]", "owner = \"0:0\""),
        "listener[0].owner",
        "only unix sockets",
    );
    check(
        &with("[link]", "detach_hook = [\"/bin/stop\"]"),
        "link.detach_hook",
        "no effect",
    );
    check(
        &format!("{LEAST}[source.tls]\nca = \"/x\"\n"),
        "source.tls",
        "rediss://",
    );
}

#[test]
fn a_user_needs_exactly_one_name_and_one_password() {
    let (_directory, path) = file_with("x");
    let url = |url: &str, more: &str| {
        LEAST.replace("\"redis://source:6379\"", &format!("\"{url}\"\n{more}"))
    };
    check(
        &with("[source]", "username = \"me\""),
        "source.password_file",
        "is missing",
    );
    check(
        &url("redis://me@source", ""),
        "source.password_file",
        "is missing",
    );
    check(
        &url("redis://me:pw@source", "username = \"you\""),
        "source.username",
        "one of the two",
    );
    check(
        &url("redis://:pw@source", &format!("password_file = {path:?}")),
        "source.password_file",
        "one of the two",
    );
    accepted(&url(
        "redis://me@source",
        &format!("password_file = {path:?}"),
    ));
}

#[test]
fn a_secret_file_must_be_there_and_hold_something() {
    check(
        &with("[source]", "password_file = \"/absent/file\""),
        "source.password_file",
        "\"/absent/file\": the file must",
    );
    let (_directory, path) = file_with("secret");
    let (_empty_directory, empty) = file_with("\n");
    check(
        &with("[source]", &format!("password_file = {empty:?}")),
        "source.password_file",
        "must not be empty",
    );
    check(
        &format!("{LEAST}[[credentials]]\nclient_password_file = {path:?}\n"),
        "credentials[0].target_password_file",
        "is missing",
    );
}

#[test]
fn certificates_are_read_and_each_wrong_file_is_named() {
    let rediss = LEAST.replace("redis://source", "rediss://source");
    check(&rediss, "source.tls.ca", "system's roots are not used");
    let wrong = format!(
        "{rediss}[source.tls]\nca = \"/absent.pem\"\ncert = \"/absent.crt\"\nkey = \"/absent.key\"\n"
    );
    let paths: Vec<_> = refused(&wrong)
        .0
        .into_iter()
        .map(|mistake| mistake.path)
        .collect();
    assert_eq!(
        paths,
        ["source.tls.ca", "source.tls.cert", "source.tls.key"]
    );
    let listener = with("[[listener]]", "tls = {}");
    let paths: Vec<_> = refused(&listener)
        .0
        .into_iter()
        .map(|mistake| mistake.path)
        .collect();
    assert_eq!(paths, ["listener[0].tls.cert", "listener[0].tls.key"]);
    let paths: Vec<_> = refused(&with("[admin.tls]", "cert = \"/absent.crt\""))
        .0
        .into_iter()
        .map(|mistake| mistake.path)
        .collect();
    assert_eq!(
        paths,
        ["admin.tls.key"],
        "what needs its key is not read without it"
    );
    let tls = format!(
        "tls = {{ cert = {:?}, key = {:?} }}",
        certificate("server.pem"),
        certificate("server.key")
    );
    assert!(
        accepted(&with("[[listener]]", &tls)).listeners[0]
            .tls
            .is_some()
    );
    let (_directory, token) = file_with("token");
    let network = format!("bind = \"0.0.0.0:9600\"\ntoken_file = {token:?}\n{tls}");
    let settings = accepted(&with("[admin]", &network));
    assert!(settings.admin.tls.is_some());
    assert_eq!(settings.cautions(), Vec::<String>::new());
}
