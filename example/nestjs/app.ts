// NestJS with its Express adapter. authkit() is mounted like any other middleware, and requireAuth() on the routes that
// it protects.
import 'reflect-metadata';
import type { Server } from 'node:http';
import { Controller, Get, Module, Req, type MiddlewareConsumer, type NestModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Request } from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

@Controller()
class AccountController {
  @Get('/')
  home(@Req() req: Request) {
    return { signedIn: req.auth.type !== null };
  }

  @Get('/account')
  account(@Req() req: Request) {
    return { email: signedIn(req).user.email };
  }

  @Get('/billing')
  billing(@Req() req: Request) {
    return { organizationId: signedIn(req).organizationId };
  }
}

@Module({ controllers: [AccountController] })
class AppModule implements NestModule {
  configure(consumer: MiddlewareConsumer) {
    consumer.apply(requireAuth()).forRoutes('account');
    consumer.apply(requireAuth({ permission: 'billing:read' })).forRoutes('billing');
  }
}

const app = await NestFactory.create(AppModule, { logger: ['warn', 'error'] });
app.use(authkit());
export const server = (await app.listen(process.env['PORT'] ?? 3000)) as Server;
