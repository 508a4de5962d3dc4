from django.urls import path

from . import views

app_name = "accounts"
urlpatterns = [
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-in/code/", views.sign_in_code, name="sign-in-code"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("enrol/<str:ticket>/", views.enrol, name="enrol"),
    path("mail/", views.mail, name="mail"),
    path("security/", views.security, name="security"),
    path("security/apps/add/", views.app_add, name="app-add"),
    path("security/apps/<int:pk>/remove/", views.app_remove, name="app-remove"),
    path("security/passkeys/add/", views.passkey_add, name="passkey-add"),
    path("security/passkeys/create/", views.passkey_create, name="passkey-create"),
    path("security/passkeys/<int:pk>/remove/", views.passkey_remove, name="passkey-remove"),
    path("security/passkeys/<int:pk>/rename/", views.passkey_rename, name="passkey-rename"),
    path("security/recovery-codes/", views.recovery_codes_renew, name="recovery-codes-renew"),
    path("security/sessions/end/", views.sessions_end, name="sessions-end"),
    path("security/sessions/<uuid:pk>/end/", views.session_end, name="session-end"),
    path("security/password/", views.password_change, name="password-change"),
    path("security/tokens/add/", views.token_add, name="token-add"),
    path("security/tokens/<uuid:pk>/rotate/", views.token_rotate, name="token-rotate"),
    path("security/tokens/<uuid:pk>/revoke/", views.token_revoke, name="token-revoke"),
]
